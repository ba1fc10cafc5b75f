"""SQLite: the files of vector stores as jobs. Functions on a connection in a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from ..protocol import ChangedStoreFile, Index, NewObject, NoIndex, Relabelled, StoreFileChange, StoreFileRow, Tally
from ..rows import STORE_FILE_CASES, StoreFileCase, columns_of, store_file_columns, tallied
from ..statements import for_case, load_statements
from . import chunks

Make = Callable[[StoreFileRow], StoreFileChange | None]

_statements = load_statements("sqlite", "vector_stores.sql")

ADD = _statements["add_store_file"]
ROWS = {
    case: for_case(_statements["store_files"], **{each: each == case for each in STORE_FILE_CASES})
    for case in STORE_FILE_CASES
}
WRITE = _statements["write_store_file"]
COUNT = {
    by: for_case(_statements["count_store_files"], by_store=by == "store", by_batch=by == "batch")
    for by in ("store", "batch")
}
RENEW = _statements["renew_store_files"]


def add(connection: sqlite3.Connection, each: NewObject) -> None:
    """Add a file to a vector store, or have it begin anew there."""
    columns = each.store_file
    assert columns is not None
    connection.execute(ADD, columns_of(each) | {"batch": columns.batch, "size": columns.size})


def is_unclaimed(connection: sqlite3.Connection, now: float) -> bool:
    """Whether there is a file that can be claimed."""
    return connection.execute(ROWS["unclaimed"], {"now": now, "limit": 1}).fetchone() is not None


def change(
    connection: sqlite3.Connection, case: StoreFileCase, make: Make, now: float, **given: Any
) -> list[ChangedStoreFile]:
    """Carry out `Store.change_store_files` for the rows that are meant."""
    found = connection.execute(ROWS[case], {"now": now, **given}).fetchall()
    columns = StoreFileRow.__struct_fields__[:-1]
    rows = [StoreFileRow(**dict(zip(columns, each, strict=True)), now=now) for each in found]
    return [_change(connection, row, make) for row in rows]


def _change(connection: sqlite3.Connection, row: StoreFileRow, make: Make) -> ChangedStoreFile:
    changed = make(row)
    if changed is not None:
        connection.execute(WRITE, store_file_columns(row, changed))
        match changed.index:
            case Index() as index:
                chunks.index_file(connection, row.store_id, index.file, index.chunks)
            case Relabelled(attributes=attributes):
                chunks.relabel(connection, row.store_id, row.id, attributes)
            case NoIndex():
                chunks.unindex(connection, row.store_id, row.id)
            case None:
                pass
    return ChangedStoreFile(row, changed)


def count(
    connection: sqlite3.Connection, by: Literal["store", "batch"], identifiers: Sequence[str]
) -> dict[str, list[Tally]]:
    """Carry out `Store.count_store_files`."""
    asked = {"ids": msgspec.json.encode(list(identifiers)).decode()}
    return tallied(connection.execute(COUNT[by], asked))


def renew(connection: sqlite3.Connection, worker: str, held: Mapping[int, int], until: float) -> set[int]:
    """Carry out `Store.renew_store_files`."""
    asked = {"held": msgspec.json.encode(held).decode(), "worker": worker, "until": until}
    return {row[0] for row in connection.execute(RENEW, asked).fetchall()}
