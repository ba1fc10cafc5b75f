"""PostgreSQL: the files of vector stores as jobs. Functions on a connection in a transaction.

Read ``sqlite/vector_stores.py`` first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from ..protocol import ChangedStoreFile, Index, NewObject, NoIndex, Relabelled, StoreFileChange, StoreFileRow, Tally
from ..rows import STORE_FILE_CASES, StoreFileCase, columns_of, store_file_columns, tallied
from ..statements import for_case, load_statements
from . import chunks
from .query import Connection, Query, fetch_rows, fetch_value

Make = Callable[[StoreFileRow], StoreFileChange | None]

_statements = load_statements("postgres", "vector_stores.sql")

LOCK_STORE = Query(_statements["lock_store"])
ADD = Query(_statements["add_store_file"])
IS_UNCLAIMED = Query(_statements["is_unclaimed"])
ROWS = {
    case: Query(for_case(_statements["store_files"], **{each: each == case for each in STORE_FILE_CASES}))
    for case in STORE_FILE_CASES
}
WRITE = Query(_statements["write_store_file"])
COUNT = {
    by: Query(for_case(_statements["count_store_files"], by_store=by == "store", by_batch=by == "batch"))
    for by in ("store", "batch")
}
RENEW = Query(_statements["renew_store_files"])


async def lock_stores(connection: Connection, objects: Sequence[NewObject]) -> None:
    """Lock the vector stores that files are added to, in one order; those that are made with them need none."""
    made = {each.id for each in objects if each.kind == "vector_store"}
    for store_id in sorted({each.owner or "" for each in objects if each.store_file is not None} - made):
        await fetch_value(connection, LOCK_STORE, id=store_id)


async def add(connection: Connection, files: Sequence[NewObject]) -> None:
    """Add files to vector stores, or have them begin anew there."""
    given = []
    for each in files:
        columns = each.store_file
        assert columns is not None
        given.append(ADD.arguments(columns_of(each) | {"batch": columns.batch, "size": columns.size}))
    await connection.executemany(ADD.sql, given)


async def is_unclaimed(connection: Connection) -> bool:
    """Whether there is a file that can be claimed."""
    return await fetch_value(connection, IS_UNCLAIMED) is not None


async def change(connection: Connection, case: StoreFileCase, make: Make, **given: Any) -> list[ChangedStoreFile]:
    """Carry out `Store.change_store_files` for the rows that are meant."""
    rows = [StoreFileRow(**row) for row in await fetch_rows(connection, ROWS[case], **given)]
    return [await _change(connection, row, make) for row in rows]


async def _change(connection: Connection, row: StoreFileRow, make: Make) -> ChangedStoreFile:
    changed = make(row)
    if changed is not None:
        await fetch_value(connection, WRITE, **store_file_columns(row, changed))
        match changed.index:
            case Index() as index:
                await chunks.index_file(connection, row.store_id, index.file, index.chunks)
            case Relabelled(attributes=attributes):
                await chunks.relabel(connection, row.store_id, row.id, attributes)
            case NoIndex():
                await chunks.unindex(connection, row.store_id, row.id)
            case None:
                pass
    return ChangedStoreFile(row, changed)


async def count(
    connection: Connection, by: Literal["store", "batch"], identifiers: Sequence[str]
) -> dict[str, list[Tally]]:
    """Carry out `Store.count_store_files`."""
    return tallied(await fetch_rows(connection, COUNT[by], ids=list(identifiers)))


async def renew(connection: Connection, worker: str, held: Mapping[int, int], seconds: float) -> set[int]:
    """Carry out `Store.renew_store_files`."""
    given = {"held": list(held), "epochs": list(held.values()), "worker": worker, "seconds": seconds}
    return {row[0] for row in await fetch_rows(connection, RENEW, **given)}
