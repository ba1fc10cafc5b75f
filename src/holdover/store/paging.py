"""How a page becomes a range scan, and rows a page: pure, and the same for every database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from .protocol import Page

LOWEST = 0
HIGHEST = 2**63 - 1


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """Read rows with ``low < seq < high``, upwards or downwards; ``reverse`` what came, to be in the list's order."""

    low: int
    high: int
    upwards: bool
    reverse: bool


def plan(*, ascending: bool, after: int | None, before: int | None) -> Scan:
    """Return the scan for a page whose cursors stand at these sequence numbers."""
    first, last = (after, before) if ascending else (before, after)
    # With ``before`` alone the page is the one that ends there, so it is read from that end.
    backwards = after is None and before is not None
    return Scan(
        low=LOWEST if first is None else first,
        high=HIGHEST if last is None else last,
        upwards=ascending is not backwards,
        reverse=backwards,
    )


def page_of(rows: Sequence[Sequence[Any]], scan: Scan, limit: int) -> Page:
    """Return the page that rows of an id and a document make, read by this scan up to one more than the limit."""
    listed = rows[:limit]
    if scan.reverse:
        listed = listed[::-1]
    return Page(ids=[row[0] for row in listed], documents=[row[1] for row in listed], has_more=len(rows) > limit)
