"""SQLite: the files of vector stores as jobs. Functions on a connection inside a transaction.

Read ``sqlite.py`` first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from . import sqlite_chunks
from .protocol import (
    ChangedStoreFile,
    Index,
    Kind,
    Lease,
    NewObject,
    NoIndex,
    Relabelled,
    StoreFileChange,
    StoreFileRow,
    StoreFiles,
    Tally,
)
from .statements import for_case, load_statements

TABLES: dict[Kind, str] = {"vector_store_file": "vector_store_files", "batch": "file_batches"}
#: How rows are meant: one file, or one of `StoreFiles`.
CASES: tuple[Literal["file"] | StoreFiles, ...] = ("file", "unclaimed", "batch", "stale")

Make = Callable[[StoreFileRow], StoreFileChange | None]

_statements = load_statements("sqlite", "vector_stores.sql")

ADD = _statements["add_store_file"]
ROWS = {case: for_case(_statements["store_files"], **{each: each == case for each in CASES}) for case in CASES}
WRITE = _statements["write_store_file"]
COUNT = {
    by: for_case(_statements["count_store_files"], by_store=by == "store", by_batch=by == "batch")
    for by in ("store", "batch")
}
RENEW = _statements["renew_store_files"]
VOID_LEASES = _statements["void_file_leases"]


def add(connection: sqlite3.Connection, each: NewObject) -> None:
    """Add a file to a vector store, or have it begin anew there."""
    columns = each.store_file
    assert columns is not None
    given = {name: getattr(each, name) for name in ("id", "owner", "created_at", "document")}
    connection.execute(ADD, {**given, "batch": columns.batch, "size": columns.size})


def is_unclaimed(connection: sqlite3.Connection, now: float) -> bool:
    """Whether there is a file that can be claimed."""
    return connection.execute(ROWS["unclaimed"], {"now": now, "limit": 1}).fetchone() is not None


def change(
    connection: sqlite3.Connection, case: Literal["file"] | StoreFiles, make: Make, now: float, **given: Any
) -> list[ChangedStoreFile]:
    """Carry out `Store.change_store_files` for the rows that are meant."""
    found = connection.execute(ROWS[case], {"now": now, **given}).fetchall()
    columns = StoreFileRow.__struct_fields__[:-1]
    rows = [StoreFileRow(**dict(zip(columns, each, strict=True)), now=now) for each in found]
    return [_change(connection, row, make) for row in rows]


def _change(connection: sqlite3.Connection, row: StoreFileRow, make: Make) -> ChangedStoreFile:
    changed = make(row)
    if changed is not None:
        connection.execute(WRITE, written(row, changed))
        match changed.index:
            case Index(file=file, chunks=chunks):
                sqlite_chunks.index_file(connection, row.store_id, file, chunks)
            case Relabelled(attributes=attributes):
                sqlite_chunks.relabel(connection, row.store_id, row.id, attributes)
            case NoIndex():
                sqlite_chunks.unindex(connection, row.store_id, row.id)
            case None:
                pass
    return ChangedStoreFile(row, changed)


def written(row: StoreFileRow, change: StoreFileChange) -> dict[str, Any]:
    """Return a row's new columns."""
    epoch, worker, until = row.epoch, row.worker, row.lease_until
    if isinstance(change.lease, Lease):
        epoch, worker, until = epoch + 1, change.lease.worker, row.now + change.lease.seconds
    elif change.lease is None:
        until = None
    usage_bytes, embedder, chunking = row.usage_bytes, row.embedder, row.chunking
    match change.index:
        case Index(usage_bytes=usage_bytes, embedder=embedder, chunking=chunking):
            pass
        case NoIndex():
            usage_bytes, embedder, chunking = 0, None, None
        case Relabelled() | None:
            pass
    return {
        "seq": row.seq,
        "status": change.status,
        "document": change.document,
        "usage_bytes": usage_bytes,
        "epoch": epoch,
        "attempts": row.attempts if change.attempts is None else change.attempts,
        "worker": worker,
        "lease_until": until,
        "embedder": embedder,
        "chunking": chunking,
    }


def count(
    connection: sqlite3.Connection, by: Literal["store", "batch"], identifiers: Sequence[str]
) -> dict[str, list[Tally]]:
    """Carry out `Store.count_store_files`."""
    asked = {"ids": msgspec.json.encode(list(identifiers)).decode()}
    return tallied(connection.execute(COUNT[by], asked))


def tallied(rows: Any) -> dict[str, list[Tally]]:
    """Return rows of an id, a status, a count and a sum by their id."""
    found: dict[str, list[Tally]] = {}
    for identifier, *tally in rows:
        found.setdefault(identifier, []).append(Tally(*tally))
    return found


def renew(connection: sqlite3.Connection, worker: str, held: Mapping[int, int], until: float) -> set[int]:
    """Carry out `Store.renew_store_files`."""
    asked = {"held": msgspec.json.encode(held).decode(), "worker": worker, "until": until}
    return {row[0] for row in connection.execute(RENEW, asked).fetchall()}
