"""SQLite: objects of every kind. Functions on a connection in a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

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
from ..tables import FILES_OF, TABLES, place

_statements = load_statements("sqlite", "objects.sql")


def _for_each_kind(name: str) -> dict[Kind, str]:
    return {
        kind: for_case(_statements[name], owned=kind in OWNERS).format(table=TABLES[kind], kind=kind, place=place(kind))
        for kind in KINDS
    }


def _for_file_users(name: str) -> dict[Kind, str]:
    return {kind: _statements[name].format(users=FILES_OF[kind]) for kind in FILE_USERS}


GET = _for_each_kind("get")
GET_MANY = _for_each_kind("get_many")
EXISTS = _for_each_kind("exists")
CURSOR = _for_each_kind("cursor")
INSERT = {
    kind: _statements["insert_owned" if kind in OWNERS else "insert"].format(table=TABLES[kind]) for kind in KINDS
}
REPLACE = _for_each_kind("replace")
BURY = _for_each_kind("bury")
DELETE = _for_each_kind("delete")
REMOVE = _for_each_kind("remove")
LABEL = _statements["label"]
UNLABEL = _statements["unlabel"]
USE_FILE = _for_file_users("use_file")
USE_NO_FILE = _for_file_users("use_no_file")
#: Threads that have certain labels, by direction.
SCAN_LABELLED = {True: _statements["scan_labelled_upwards"], False: _statements["scan_labelled_downwards"]}


@cache
def scan(kind: Kind, upwards: bool, of: frozenset[str]) -> str:
    """Return the statement for a list in this direction, of what has these columns as asked for."""
    asked = {column: column in of for column in ("run", "purpose", "batch", "status")}
    text = for_case(_statements["scan_upwards" if upwards else "scan_downwards"], owned=kind in OWNERS, **asked)
    return text.format(table=TABLES[kind])


def get(connection: sqlite3.Connection, kind: Kind, identifier: str, owner: str | None = None) -> bytes | None:
    """Return an object's document."""
    row = connection.execute(GET[kind], {"id": identifier, "owner": owner}).fetchone()
    return row[0] if row else None


def get_many(connection: sqlite3.Connection, kind: Kind, identifiers: Sequence[str]) -> dict[str, bytes]:
    """Return the documents of those that exist."""
    asked = {"ids": msgspec.json.encode(list(identifiers)).decode()}
    return dict(connection.execute(GET_MANY[kind], asked).fetchall())


def page(
    connection: sqlite3.Connection,
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
        after=_place(connection, kind, after, owner),
        before=_place(connection, kind, before, owner),
    )
    given: dict[str, Any] = {"low": found.low, "high": found.high, "limit": limit + 1, "owner": owner, **asked}
    if labels:
        (key, value), *others = labels.items()
        given |= {"key": key, "value": value, "others": msgspec.json.encode(dict(others)).decode()}
        statement = SCAN_LABELLED[found.upwards]
    else:
        statement = scan(kind, found.upwards, frozenset(name for name, value in asked.items() if value is not None))
    return page_of(connection.execute(statement, given).fetchall(), found, limit)


def _place(connection: sqlite3.Connection, kind: Kind, cursor: str | None, owner: str | None) -> int | None:
    if cursor is None:
        return None
    row = connection.execute(CURSOR[kind], {"id": cursor, "owner": owner}).fetchone()
    if row is None:
        raise UnknownCursor(cursor)
    number: int = row[0]
    return number


def require(connection: sqlite3.Connection, references: Sequence[Reference]) -> None:
    """Refuse a write that refers to what does not exist."""
    for each in references:
        if connection.execute(EXISTS[each.kind], {"id": each.id}).fetchone() is None:
            raise MissingReference(each)


def insert(connection: sqlite3.Connection, each: NewObject) -> None:
    """Add an object of which nothing is searched but labels and the names of files."""
    connection.execute(INSERT[each.kind], columns_of(each, "run_id", "extra"))
    if each.labels:
        _label(connection, each.id, each.labels)
    if each.file_ids:
        _name_files(connection, each.kind, each.id, each.file_ids)


def modify(connection: sqlite3.Connection, kind: Kind, identifier: str, modification: Modification) -> None:
    """Put what an object becomes in its place."""
    require(connection, modification.requires)
    replace(connection, kind, identifier, modification.document)
    if modification.labels is not None:
        connection.execute(UNLABEL, (identifier,))
        _label(connection, identifier, modification.labels)
    if modification.file_ids is not None:
        _name_files(connection, kind, identifier, modification.file_ids)


def change_thread(
    connection: sqlite3.Connection, thread_id: str, make: Callable[[bytes], ThreadChange]
) -> Sequence[NewObject]:
    """Change a thread that something is added to; return what is to be added beside that."""
    document = get(connection, "thread", thread_id)
    assert document is not None  # it was required
    change = make(document)
    require(connection, change.requires)
    if change.modification is not None:
        modify(connection, "thread", thread_id, change.modification)
    return change.added


def replace(connection: sqlite3.Connection, kind: Kind, identifier: str, document: bytes) -> None:
    """Put a document in the place of an object's; of one that is gone, nothing is written."""
    connection.execute(REPLACE[kind], {"id": identifier, "document": document})


def delete(connection: sqlite3.Connection, kind: Kind, identifier: str, owner: str | None = None) -> bool:
    """Delete an object, whose place is remembered; return whether there was one."""
    which = {"id": identifier, "owner": owner}
    connection.execute(BURY[kind], which)
    return connection.execute(DELETE[kind], which).rowcount > 0


def remove(connection: sqlite3.Connection, reference: Reference) -> None:
    """Delete an object whose place nobody has seen."""
    connection.execute(REMOVE[reference.kind], (reference.id,))


def _label(connection: sqlite3.Connection, thread_id: str, labels: Mapping[str, str]) -> None:
    connection.executemany(LABEL, [(key, value, thread_id) for key, value in labels.items()])


def _name_files(connection: sqlite3.Connection, kind: Kind, owner: str, file_ids: Sequence[str]) -> None:
    connection.execute(USE_NO_FILE[kind], (owner,))
    connection.executemany(USE_FILE[kind], [(file_id, owner) for file_id in file_ids])
