"""SQLite: files, uploads and who names files. Functions on a connection in a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from ..protocol import FILE_USERS, OWNERS, Kind, NewObject, Part, TooLate, UploadChange, UploadRow
from ..rows import columns_of
from ..statements import for_case, load_statements
from ..tables import FILE_KINDS, FILES_OF, TABLES
from . import objects

_statements = load_statements("sqlite", "files.sql")

INSERT = {
    kind: for_case(_statements["insert_file"], owned=kind in OWNERS).format(table=TABLES[kind]) for kind in FILE_KINDS
}
EXPIRED = {kind: _statements["expired"].format(table=TABLES[kind]) for kind in FILE_KINDS}
USERS_OF_FILE = {
    kind: _statements["users_of_file"].format(table=TABLES[kind], users=FILES_OF[kind]) for kind in FILE_USERS
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
    given = columns_of(each, "extra")
    given |= {name: getattr(columns, name) for name in ("digest", "bytes", "purpose", "expires_at")}
    connection.execute(INSERT[each.kind], given)


def forget(connection: sqlite3.Connection, file_id: str, without: Callable[[Kind, bytes], bytes]) -> bool:
    """Carry out `Store.delete_file`."""
    for kind in FILE_USERS:
        for identifier, document in connection.execute(USERS_OF_FILE[kind], (file_id,)).fetchall():
            objects.replace(connection, kind, identifier, without(kind, document))
    return objects.delete(connection, "file", file_id)


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
