"""PostgreSQL: objects of every kind. Functions on a connection in a transaction. Read ``sqlite/objects.py`` first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from ..paging import page_of, plan
from ..protocol import (
    FILE_USERS,
    KINDS,
    OWNERS,
    Kind,
    MissingReference,
    Modification,
    NewObject,
    Page,
    Reference,
    ThreadChange,
    UnknownCursor,
)
from ..rows import columns_of
from ..statements import for_case, load_statements
from ..tables import APPLICATION_ID, FILES_OF, TABLES, place
from .database import transaction
from .query import Connection, Query, fetch_rows, fetch_value, storable

_statements = load_statements("postgres", "objects.sql")


def _query(name: str, kind: Kind = "thread", **cases: bool) -> Query:
    text = for_case(_statements[name], owned=kind in OWNERS, **cases)
    number = KINDS.index(kind) + 1
    return Query(
        text.format(table=TABLES[kind], kind=kind, place=place(kind), application=APPLICATION_ID, number=number)
    )


def _for_each_kind(name: str, **cases: bool) -> dict[Kind, Query]:
    return {kind: _query(name, kind, **cases) for kind in KINDS}


def _for_file_users(name: str) -> dict[Kind, Query]:
    return {kind: Query(_statements[name].format(users=FILES_OF[kind])) for kind in FILE_USERS}


GET = _for_each_kind("get", locked=False)
GET_LOCKED = _for_each_kind("get", locked=True)
GET_MANY = _for_each_kind("get_many")
EXISTS = _for_each_kind("exists")
EXIST = _for_each_kind("exist")
CURSOR = _for_each_kind("cursor")
SETTLE = {kind: _query("settle", kind) for kind in KINDS if kind not in OWNERS}
INSERT = {
    kind: _query("insert_owned", kind, written=False) if kind in OWNERS else _query("insert", kind) for kind in KINDS
}
REPLACE = _for_each_kind("replace", written=False)
DELETE = _for_each_kind("delete")
REMOVE = _for_each_kind("remove", written=False)
#: The same, if the run is written that they belong to.
INSERT_WRITTEN = {kind: _query("insert_owned", kind, written=True) for kind in OWNERS}
REPLACE_WRITTEN = _for_each_kind("replace", written=True)
REMOVE_WRITTEN = _for_each_kind("remove", written=True)
LABEL = _query("label")
UNLABEL = _query("unlabel")
USE_FILES = _for_file_users("use_files")
USE_NO_FILE = _for_file_users("use_no_file")
#: Threads that have certain labels, by direction.
SCAN_LABELLED = {True: _query("scan_labelled_upwards"), False: _query("scan_labelled_downwards")}


@cache
def scan(kind: Kind, upwards: bool, of: frozenset[str]) -> Query:
    """Return the statement for a list in this direction, of what has these columns as asked for."""
    asked = {column: column in of for column in ("run", "purpose", "batch", "status")}
    return _query("scan_upwards" if upwards else "scan_downwards", kind, **asked)


async def get(
    connection: Connection, kind: Kind, identifier: str, owner: str | None = None, *, locked: bool = False
) -> bytes | None:
    """Return an object's document; ``locked``: nobody changes it until the transaction ends."""
    query = (GET_LOCKED if locked else GET)[kind]
    document: bytes | None = await fetch_value(connection, query, id=identifier, owner=owner)
    return document


async def get_many(connection: Connection, kind: Kind, identifiers: Sequence[str]) -> dict[str, bytes]:
    """Return the documents of those that exist."""
    return dict(await fetch_rows(connection, GET_MANY[kind], ids=[storable(each) for each in identifiers]))


async def page(
    connection: Connection,
    kind: Kind,
    *,
    limit: int,
    ascending: bool,
    after: str | None,
    before: str | None,
    owner: str | None,
    labels: Mapping[str, str] | None,
    asked: Mapping[str, str | None],
) -> Page:
    """Carry out `Store.page`; ``asked`` are columns by what they are to be."""
    found = plan(
        ascending=ascending,
        after=await _place(connection, kind, after, owner),
        before=await _place(connection, kind, before, owner),
    )
    given: dict[str, Any] = {"low": found.low, "high": found.high, "limit": limit + 1, "owner": owner, **asked}
    if labels:
        (key, value), *others = labels.items()
        given |= {"key": key, "value": value} | _pairs(dict(others))
        statement = SCAN_LABELLED[found.upwards]
    else:
        statement = scan(kind, found.upwards, frozenset(name for name, value in asked.items() if value is not None))
    if found.upwards and kind in SETTLE:
        async with transaction(connection):
            await fetch_value(connection, SETTLE[kind])
            rows = await fetch_rows(connection, statement, **given)
    else:
        rows = await fetch_rows(connection, statement, **given)
    return page_of(rows, found, limit)


async def _place(connection: Connection, kind: Kind, cursor: str | None, owner: str | None) -> int | None:
    if cursor is None:
        return None
    place: int | None = await fetch_value(connection, CURSOR[kind], id=cursor, owner=owner)
    if place is None:
        raise UnknownCursor(cursor)
    return place


async def require(connection: Connection, references: Sequence[Reference]) -> None:
    """Refuse a write that refers to what does not exist."""
    # Files come in thousands: they are asked for together, and before the rest.
    file_ids = [storable(each.id) for each in references if each.kind == "file"]
    found = {row[0] for row in await fetch_rows(connection, EXIST["file"], ids=file_ids)} if file_ids else set()
    for each in references:
        is_there = each.id in found if each.kind == "file" else await _exists(connection, each)
        if not is_there:
            raise MissingReference(each)


async def _exists(connection: Connection, reference: Reference) -> bool:
    return await fetch_value(connection, EXISTS[reference.kind], id=reference.id) is not None


async def insert(connection: Connection, each: NewObject) -> None:
    """Add an object of which nothing is searched but labels and the names of files."""
    await fetch_value(connection, INSERT[each.kind], **columns_of(each, "run_id", "extra"))
    if each.labels:
        await fetch_value(connection, LABEL, id=each.id, **_pairs(each.labels))
    if each.file_ids:
        await _name_files(connection, each.kind, each.id, each.file_ids)


async def modify(connection: Connection, kind: Kind, identifier: str, modification: Modification) -> None:
    """Put what an object becomes in its place."""
    await require(connection, modification.requires)
    await replace(connection, kind, identifier, modification.document)
    if modification.labels is not None:
        await fetch_value(connection, UNLABEL, id=identifier)
        await fetch_value(connection, LABEL, id=identifier, **_pairs(modification.labels))
    if modification.file_ids is not None:
        await _name_files(connection, kind, identifier, modification.file_ids)


async def change_thread(
    connection: Connection, thread_id: str, make: Callable[[bytes], ThreadChange]
) -> Sequence[NewObject]:
    """Change a thread that something is added to; return what is to be added beside that."""
    document = await get(connection, "thread", thread_id)
    assert document is not None  # it was required
    change = make(document)
    await require(connection, change.requires)
    if change.modification is not None:
        await modify(connection, "thread", thread_id, change.modification)
    return change.added


async def replace(connection: Connection, kind: Kind, identifier: str, document: bytes) -> None:
    """Put a document in the place of an object's; of one that is gone, nothing is written."""
    await fetch_value(connection, REPLACE[kind], id=identifier, document=document)


async def delete(connection: Connection, kind: Kind, identifier: str, owner: str | None = None) -> bool:
    """Delete an object, whose place is remembered; return whether there was one."""
    return await fetch_value(connection, DELETE[kind], id=identifier, owner=owner) is not None


async def remove(connection: Connection, reference: Reference) -> None:
    """Delete an object whose place nobody has seen."""
    await fetch_value(connection, REMOVE[reference.kind], id=reference.id)


async def _name_files(connection: Connection, kind: Kind, owner: str, file_ids: Sequence[str]) -> None:
    await fetch_value(connection, USE_NO_FILE[kind], owner=owner)
    if file_ids:
        await fetch_value(connection, USE_FILES[kind], owner=owner, file_ids=[storable(each) for each in file_ids])


def _pairs(labels: Mapping[str, str]) -> dict[str, list[str]]:
    return {"keys": [storable(key) for key in labels], "values": [storable(value) for value in labels.values()]}
