"""PostgreSQL: files, uploads and who names files. Functions on a connection in a transaction.

Read ``sqlite/files.py`` first. A file is locked before those who name it: whoever is about to name it waits for the
file with its own row in hand, and one of the two is begun again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from ..protocol import FILE_USERS, KINDS, OWNERS, Kind, NewObject, Part, TooLate, UploadChange, UploadRow
from ..rows import columns_of
from ..statements import for_case, load_statements
from ..tables import APPLICATION_ID, FILE_KINDS, FILES_OF, TABLES
from . import objects
from .query import Connection, Query, fetch_rows, fetch_value

_statements = load_statements("postgres", "files.sql")


def _insert(kind: Kind) -> Query:
    text = for_case(_statements["insert_file"], owned=kind in OWNERS, listed=kind not in OWNERS)
    return Query(text.format(table=TABLES[kind], application=APPLICATION_ID, number=KINDS.index(kind) + 1))


INSERT = {kind: _insert(kind) for kind in FILE_KINDS}
EXPIRED = {kind: Query(_statements["expired"].format(table=TABLES[kind])) for kind in FILE_KINDS}
USERS_OF_FILE = {
    kind: Query(_statements["users_of_file"].format(table=TABLES[kind], users=FILES_OF[kind])) for kind in FILE_USERS
}
FILE = Query(_statements["file"])
LOCK_FILE = Query(_statements["lock_file"])
UPLOAD = Query(_statements["upload"])
PARTS = Query(_statements["parts"])
WRITE_UPLOAD = Query(_statements["write_upload"])
DROP_PARTS = Query(_statements["drop_parts"])
NAMED_DIGESTS = Query(_statements["named_digests"])
IDENTITY = Query(_statements["identity"])


async def insert(connection: Connection, each: NewObject) -> None:
    """Add a file, an upload or a part of one.

    Raises:
        TooLate: Its deadline is past.
    """
    columns = each.file
    assert columns is not None
    given = columns_of(each, "extra")
    given |= {name: getattr(columns, name) for name in ("digest", "bytes", "purpose", "expires_at", "deadline")}
    if await fetch_value(connection, INSERT[each.kind], **given) is None:
        raise TooLate


async def forget(connection: Connection, file_id: str, without: Callable[[Kind, bytes], bytes]) -> bool:
    """Carry out `Store.delete_file`; nobody names the file from here on."""
    await fetch_value(connection, LOCK_FILE, id=file_id)
    for kind in FILE_USERS:
        for identifier, document in await fetch_rows(connection, USERS_OF_FILE[kind], file_id=file_id):
            await objects.replace(connection, kind, identifier, without(kind, document))
    return await objects.delete(connection, "file", file_id)


async def change_upload(
    connection: Connection, upload_id: str, change: Callable[[UploadRow], UploadChange]
) -> bytes | None:
    """Carry out `Store.change_upload`."""
    rows = await fetch_rows(connection, UPLOAD, id=upload_id)
    if not rows:
        return None
    document, extra, now = rows[0]
    changed = change(UploadRow(document=document, extra=extra, parts=await parts(connection, upload_id), now=now))
    if changed.drops_parts:
        await fetch_value(connection, DROP_PARTS, owner=upload_id)
    for each in changed.added:
        await insert(connection, each)
    await fetch_value(connection, WRITE_UPLOAD, id=upload_id, document=changed.document, expires_at=changed.expires_at)
    return changed.document if changed.reply is None else changed.reply


async def parts(connection: Connection, upload_id: str) -> list[Part]:
    """Return the parts of an upload."""
    return [Part(*row) for row in await fetch_rows(connection, PARTS, owner=upload_id)]


async def find(connection: Connection, file_id: str) -> tuple[bytes, str] | None:
    """Return a file's document and digest."""
    rows = await fetch_rows(connection, FILE, id=file_id)
    return (rows[0][0], rows[0][1]) if rows else None


async def expired(connection: Connection, kind: Literal["file", "upload"], limit: int) -> list[str]:
    """Return ids of what is past its expiry."""
    return [row[0] for row in await fetch_rows(connection, EXPIRED[kind], limit=limit)]


async def named_digests(connection: Connection, digests: Sequence[str]) -> set[str]:
    """Return those of the digests that a row has."""
    return {row[0] for row in await fetch_rows(connection, NAMED_DIGESTS, digests=list(digests))}


async def identity(connection: Connection) -> str:
    """Return the name of the database."""
    name: str = await fetch_value(connection, IDENTITY)
    return name
