"""PostgreSQL: an index of vectors (pgvector's HNSW), so that a search need not look at all chunks of a large store.

Up to `SCANNED_CHUNKS` of a vector store are left to the searcher, who compares all of them: that is exact, and quick
enough. What goes beyond, the oldest files first, is copied from the truth, ``chunk_vectors``, into a table with an
index. A file is *placed* when all of its chunks are there; till then it is scanned. Whoever searches names the
indexings that count, so that what is gone is not found, whatever the index still has of it.

All of this needs an extension that an administrator may not have, or not allow. Where it is missing nothing is placed.
"""

from __future__ import annotations

import functools
import struct
from array import array
from collections.abc import AsyncIterator, Sequence

from ..protocol import CHUNK_BITS
from ..statements import for_case, load_statements
from ..tables import APPLICATION_ID
from .query import Connection, Query, fetch_rows, fetch_value

#: So many chunks of a vector store, at least, are not placed: scanning them takes 14 ms.
SCANNED_CHUNKS = 100_000
#: If a filter leaves no more placed chunks than these, each is compared: an index that skips 99 of 100 finds less.
COMPARED_CHUNKS = 20_000
#: What an index of `halfvec` can have.
MAX_DIMENSIONS = 4000

_statements = load_statements("postgres", "nearest.sql")
EXTENSION = Query(_statements["extension"])
EXISTS = Query(_statements["exists"])
TRY_LOCK = Query(_statements["try_lock"])
TO_PLACE = Query(_statements["to_place"])
SET_PLACED = Query(_statements["set_placed"])
COUNT = Query(_statements["count"])

#: PostgreSQL's binary copy format: the head, and the tail.
_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TAIL = b"\xff\xff"


async def prepare(connection: Connection) -> str | None:
    """Return what a transaction that uses the index begins with; ``None`` where there can be none.

    Makes the extension and the table where they are missing. Called in a transaction that may fail.
    """
    if await fetch_value(connection, EXTENSION) is None:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    schema = await fetch_value(connection, EXTENSION)
    if schema is None:
        return None  # too old
    await connection.execute(_settings(schema))
    if not await fetch_value(connection, EXISTS, name="placed_chunks"):
        await connection.execute(_statements["create_table"])
    return _settings(schema)


async def is_prepared(connection: Connection) -> bool:
    """Whether the extension is there."""
    return await fetch_value(connection, EXTENSION) is not None


def _settings(schema: str) -> str:
    """Return what is set for a transaction. The extension may be in a schema that is not looked in otherwise."""
    path = "'" + ', "{}"'.format(schema.replace('"', '""')).replace("'", "''") + "'"
    return "; ".join(
        (
            f"SELECT set_config('search_path', current_setting('search_path') || {path}, true)",
            # Twice the candidates of a search: of 200, fewer are missed.
            "SET LOCAL hnsw.ef_search = 400",
            # Without it, a filter is applied to the first 400, and of these may leave none.
            "SET LOCAL hnsw.iterative_scan = relaxed_order",
            # A plan that knows the filter, which is looked up by hash then.
            "SET LOCAL plan_cache_mode = force_custom_plan",
        )
    )


# -------------------------------------------------------------------------------------------- writing


async def place(connection: Connection, limit: int) -> int:
    """Copy up to ``limit`` vectors of a file into the index; return how many were dealt with: 0 when none is left.

    Of processes that would place at the same time, one does. A file that goes meanwhile takes with it what was copied.
    """
    if not await fetch_value(connection, TRY_LOCK, program=APPLICATION_ID):
        return 0
    found = await fetch_rows(connection, TO_PLACE, scanned=SCANNED_CHUNKS, limit=limit)
    if not found:
        return 0
    indexed, chunks, placed, length, vectors = found[0]
    dimensions, rest = divmod(length, 2 * chunks)
    if rest or not 0 < dimensions <= MAX_DIMENSIONS or not _are_finite(vectors):
        await fetch_value(connection, SET_PLACED, indexed=indexed, placed=None)
        return int(chunks)
    if not await fetch_value(connection, EXISTS, name=f"placed_chunks_{dimensions}"):
        await connection.execute(_statements["create_index"].format(dimensions=dimensions))
    await connection.copy_to_table(
        "placed_chunks",
        source=_rows(indexed, placed, vectors, dimensions),
        columns=("indexed", "chunk", "vector"),
        format="binary",
    )
    count: int = len(vectors) // (2 * dimensions)
    await fetch_value(connection, SET_PLACED, indexed=indexed, placed=placed + count)
    return count


def _are_finite(halves: bytes) -> bool:
    """Return whether little-endian float16 has no NaN and no infinity, which are those whose exponent is all ones."""
    return not any(high & 0x7C == 0x7C for high in set(halves[1::2]))


async def _rows(indexed: int, first: int, vectors: bytes, dimensions: int) -> AsyncIterator[bytes]:
    """Yield rows in the binary format, in which a vector is its halves as they are, in the other order of bytes.

    Args:
        first: Which chunk of the file the first vector is of; the others are of those that follow it.
    """
    halves = array("H", vectors)
    halves.byteswap()
    turned, size = halves.tobytes(), 2 * dimensions
    head = struct.Struct("!h iq iq iHH")
    chunk = (indexed << CHUNK_BITS) + first
    yield _HEAD
    for at in range(len(turned) // size):
        yield head.pack(3, 8, indexed, 8, chunk + at, 4 + size, dimensions, 0) + turned[at * size : (at + 1) * size]
    yield _TAIL


# -------------------------------------------------------------------------------------------- reading


async def nearest(
    connection: Connection, vector: Sequence[float], limit: int, indexed: Sequence[int]
) -> list[tuple[int, float]]:
    """See `holdover.store.protocol.Store.nearest`; so for the other below."""
    asked = {"vector": _text(vector), "limit": limit, "indexed": list(indexed)}
    placed = await fetch_value(connection, COUNT, indexed=asked["indexed"])
    if placed > COMPARED_CHUNKS:
        found = await fetch_rows(connection, _nearest(len(vector), exact=False), **asked)
        if len(found) == limit:
            return [tuple(row) for row in found]
        # The scan was given up before it had enough.
    return [tuple(row) for row in await fetch_rows(connection, _nearest(len(vector), exact=True), **asked)]


async def cosines(
    connection: Connection, vector: Sequence[float], chunks: Sequence[int], indexed: Sequence[int]
) -> list[tuple[int, float]]:
    asked = {"vector": _text(vector), "chunks": list(chunks), "indexed": list(indexed)}
    return [tuple(row) for row in await fetch_rows(connection, _cosines(len(vector)), **asked)]


@functools.cache
def _nearest(dimensions: int, *, exact: bool) -> Query:
    return Query(for_case(_statements["nearest"], exact=exact, indexed=not exact).format(dimensions=dimensions))


@functools.cache
def _cosines(dimensions: int) -> Query:
    return Query(_statements["cosines"].format(dimensions=dimensions))


def _text(vector: Sequence[float]) -> str:
    return f"[{','.join(map(repr, map(float, vector)))}]"
