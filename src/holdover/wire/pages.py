"""Lists: the query that asks for a page, and the page."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from msgspec import Meta

from .record import UNSET, Record, UnsetType

T = TypeVar("T")

DEFAULT_LIMIT = 20
MAX_LIMIT = 100

Order = Literal["asc", "desc"]


class PageQuery(Record, frozen=True, kw_only=True):
    """Which page of a list is wanted.

    ``after`` and ``before`` are ids of objects of the list, themselves left out; ``limit`` is 1..100 (20);
    ``order`` is by creation, newest first (``desc``) unless asked otherwise.
    """

    after: str | UnsetType = UNSET
    before: str | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] | UnsetType = UNSET
    order: Order | UnsetType = UNSET


class ListPage(Record, Generic[T], frozen=True, kw_only=True):
    """One page of a list; ``first_id`` and ``last_id`` are its cursors, ``None`` when it is empty."""

    object: Literal["list"] = "list"
    data: list[T]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool = False


def splice_page(ids: list[str], documents: list[bytes], *, has_more: bool) -> bytes:
    """Return the JSON of a page from documents that are encoded already."""
    if not ids:
        return b'{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}'
    return b'{"object":"list","data":[%b],"first_id":"%b","last_id":"%b","has_more":%b}' % (
        b",".join(documents),
        ids[0].encode(),
        ids[-1].encode(),
        b"true" if has_more else b"false",
    )
