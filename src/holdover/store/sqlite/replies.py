"""SQLite: what repeatable requests were answered. Functions on a connection in a transaction."""

from __future__ import annotations

import sqlite3

import msgspec

from ..protocol import REPLY_LIFETIME_S, Repeatable
from ..rows import earlier_reply
from ..statements import load_statements

_statements = load_statements("sqlite", "objects.sql")

REPLY = _statements["reply"]
FORGET_REPLIES = _statements["forget_replies"]
REMEMBER_REPLY = _statements["remember_reply"]


def earlier(connection: sqlite3.Connection, request: Repeatable | None) -> bytes | None:
    """Return what a request was answered when it was carried out before.

    Raises:
        BadRequestError: The key was used for another request.
    """
    if request is None:
        return None
    oldest = request.now - REPLY_LIFETIME_S
    connection.execute(FORGET_REPLIES, {"oldest": oldest})
    asked = {"operation": request.operation, "key": request.key, "oldest": oldest}
    return earlier_reply(request, connection.execute(REPLY, asked).fetchone())


def remember(connection: sqlite3.Connection, request: Repeatable | None, reply: bytes) -> None:
    """Write down what a request is answered."""
    if request is not None:
        connection.execute(REMEMBER_REPLY, {**msgspec.structs.asdict(request), "reply": reply})
