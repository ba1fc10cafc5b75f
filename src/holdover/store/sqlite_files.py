"""SQLite: files, uploads and who names files; functions on a connection in a transaction. Read ``sqlite.py`` first."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from .protocol import FILE_USERS, OWNERS, Kind, NewObject, Part, TooLate, UploadChange, UploadRow
from .statements import for_case, load_statements

TABLES: dict[Kind, str] = {"file": "files", "upload": "uploads", "upload_part": "upload_parts"}
#: Whose objects name files: their table, and the table that says so.
USERS: dict[Kind, tuple[str, str]] = {
    "assistant": ("assistants", "assistant_files"),
    "thread": ("threads", "thread_files"),
}

_statements = load_statements("sqlite", "files.sql")

INSERT = {
    kind: for_case(_statements["insert_file"], owned=kind in OWNERS).format(table=table)
    for kind, table in TABLES.items()
}
EXPIRED = {kind: _statements["expired"].format(table=table) for kind, table in TABLES.items()}
USE_FILE = {kind: _statements["use_file"].format(users=users) for kind, (_, users) in USERS.items()}
USE_NO_FILE = {kind: _statements["use_no_file"].format(users=users) for kind, (_, users) in USERS.items()}
USERS_OF_FILE = {
    kind: _statements["users_of_file"].format(table=table, users=users) for kind, (table, users) in USERS.items()
}
FILE = _statements["file"]
UPLOAD = _statements["upload"]
PARTS = _statements["parts"]
WRITE_UPLOAD = _statements["write_upload"]
DROP_PARTS = _statements["drop_parts"]
NAMED_DIGESTS = _statements["named_digests"]
IDENTITY = _statements["identity"]


def insert(connection: sqlite3.Connection, each: NewObject, now: float) -> None:
    """Add a file, an upload or a part of one.

    Raises:
        TooLate: Its deadline is past.
    """
    columns = each.file
    assert columns is not None
    if columns.deadline is not None and columns.deadline <= now:
        raise TooLate
    given = {name: getattr(each, name) for name in ("id", "owner", "created_at", "document", "extra")}
    given |= {name: getattr(columns, name) for name in ("digest", "bytes", "purpose", "expires_at")}
    connection.execute(INSERT[each.kind], given)


def name_files(connection: sqlite3.Connection, kind: Kind, owner: str, file_ids: Sequence[str]) -> None:
    """Write down which files an object names, in place of those that it named."""
    connection.execute(USE_NO_FILE[kind], (owner,))
    connection.executemany(USE_FILE[kind], [(file_id, owner) for file_id in file_ids])


def forget_file(
    connection: sqlite3.Connection,
    file_id: str,
    without: Callable[[Kind, bytes], bytes],
    replace: Callable[[Kind, str, bytes], None],
) -> None:
    """Take a file out of all objects that name it."""
    for kind in FILE_USERS:
        for identifier, document in connection.execute(USERS_OF_FILE[kind], (file_id,)).fetchall():
            replace(kind, identifier, without(kind, document))


def change_upload(
    connection: sqlite3.Connection, upload_id: str, change: Callable[[UploadRow], UploadChange], now: float
) -> bytes | None:
    """Carry out `Store.change_upload`."""
    row = connection.execute(UPLOAD, (upload_id,)).fetchone()
    if row is None:
        return None
    changed = change(UploadRow(document=row[0], extra=row[1], parts=parts(connection, upload_id), now=now))
    if changed.drops_parts:
        connection.execute(DROP_PARTS, (upload_id,))
    for each in changed.added:
        insert(connection, each, now)
    given = {"id": upload_id, "document": changed.document, "expires_at": changed.expires_at}
    connection.execute(WRITE_UPLOAD, given)
    return changed.document if changed.reply is None else changed.reply


def parts(connection: sqlite3.Connection, upload_id: str) -> list[Part]:
    """Return the parts of an upload."""
    return [Part(*row) for row in connection.execute(PARTS, (upload_id,))]


def find(connection: sqlite3.Connection, file_id: str) -> tuple[bytes, str] | None:
    """Return a file's document and digest."""
    row: tuple[bytes, str] | None = connection.execute(FILE, (file_id,)).fetchone()
    return row


def expired(connection: sqlite3.Connection, kind: Literal["file", "upload"], now: float, limit: int) -> list[str]:
    """Return ids of what is past its expiry."""
    return [row[0] for row in connection.execute(EXPIRED[kind], {"now": now, "limit": limit})]


def named_digests(connection: sqlite3.Connection, digests: Sequence[str]) -> set[str]:
    """Return those of the digests that a row has."""
    asked = msgspec.json.encode(list(digests)).decode()
    return {row[0] for row in connection.execute(NAMED_DIGESTS, (asked,))}


def identity(connection: sqlite3.Connection) -> str:
    """Return the name of the database."""
    name: str = connection.execute(IDENTITY).fetchone()[0]
    return name
