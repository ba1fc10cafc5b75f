"""PostgreSQL: what repeatable requests were answered. Functions on a connection in a transaction."""

from __future__ import annotations

import msgspec

from ..protocol import REPLY_LIFETIME_S, Repeatable
from ..rows import earlier_reply
from ..statements import load_statements
from .query import Connection, Query, fetch_rows, fetch_value

_statements = load_statements("postgres", "objects.sql")

REPLY = Query(_statements["reply"])
FORGET_REPLIES = Query(_statements["forget_replies"])
REMEMBER_REPLY = Query(_statements["remember_reply"])


async def earlier(connection: Connection, request: Repeatable | None) -> bytes | None:
    """Return what a request was answered when it was carried out before.

    Raises:
        BadRequestError: The key was used for another request.
    """
    if request is None:
        return None
    oldest = request.now - REPLY_LIFETIME_S
    rows = await fetch_rows(connection, REPLY, operation=request.operation, key=request.key, oldest=oldest)
    return earlier_reply(request, rows[0] if rows else None)


async def remember(connection: Connection, request: Repeatable | None, reply: bytes) -> None:
    """Write down what a request is answered."""
    if request is not None:
        await fetch_value(connection, FORGET_REPLIES, oldest=request.now - REPLY_LIFETIME_S)
        await fetch_value(connection, REMEMBER_REPLY, **msgspec.structs.asdict(request), reply=reply)
