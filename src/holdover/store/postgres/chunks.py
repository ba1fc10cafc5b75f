"""PostgreSQL: the chunks of files. Read ``sqlite/chunks.py`` first; here is what differs.

Words are found by a GIN index of ``tsvector``. The database ranks a word by how often a text has it, and knows nothing
of how rare it is elsewhere; so the rarity is counted first, and weighs what each word adds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..protocol import (
    CHUNK_BITS,
    FileVectors,
    IndexedFile,
    MissingReference,
    NewChunk,
    NewIndexedFile,
    Passage,
    Reference,
)
from ..statements import for_case, load_statements
from ..words import MAX_POSTINGS, marked_words, query_words, rarest
from .query import Connection, Query, fetch_rows, fetch_value, storable

#: Chunks that are sent in one statement, so that none takes longer than an answer is waited for.
BATCH = 500

_statements = load_statements("postgres", "chunks.sql")
STORE = Query(_statements["store"])
LOCK_STORE = Query(_statements["lock_store"])
INSERT_FILE = Query(_statements["insert_file"])
DELETE_FILE = Query(_statements["delete_file"])
DELETE_FILES = Query(_statements["delete_files"])
RELABEL = Query(_statements["relabel"])
INSERT_CHUNKS = Query(_statements["insert_chunks"])
INSERT_VECTORS = Query(_statements["insert_vectors"])
UNINDEXED = Query(_statements["unindexed"])
DELETE_CHUNKS = Query(_statements["delete_chunks"])
DELETE_VECTORS = Query(_statements["delete_vectors"])
SWEPT = Query(_statements["swept"])
FILES = Query(_statements["files"])
VECTORS = Query(_statements["vectors"])
COUNT_WORDS = Query(_statements["count_words"])
COUNT_CHUNKS = Query(_statements["count_chunks"])
MATCH = {chosen: Query(for_case(_statements["match"], chosen=chosen)) for chosen in (True, False)}
PASSAGES = Query(_statements["passages"])
TEXT = Query(_statements["text"])


# -------------------------------------------------------------------------------------------- writing


async def index_file(connection: Connection, store_id: str, file: NewIndexedFile, chunks: Sequence[NewChunk]) -> None:
    """Write a file's text and chunks, in the place of what this vector store had of it.

    Raises:
        MissingReference: There is no such vector store.
    """
    store = await fetch_value(connection, LOCK_STORE, id=store_id)
    if store is None:
        raise MissingReference(Reference("vector_store", store_id))
    await fetch_value(connection, DELETE_FILE, store=store, file_id=file.file_id)
    row = {**msgspec.structs.asdict(file), "attributes": _json(file.attributes), "chunks": len(chunks)}
    indexed: int = await fetch_value(connection, INSERT_FILE, store=store, **row)
    for at in range(0, len(chunks), BATCH):
        batch = chunks[at : at + BATCH]
        first = (indexed << CHUNK_BITS) + at
        await fetch_value(
            connection,
            INSERT_CHUNKS,
            ids=list(range(first, first + len(batch))),
            starts=[each.start for each in batch],
            ends=[each.end for each in batch],
            tokens=[each.tokens for each in batch],
            texts=[storable(each.text) for each in batch],
            words=[marked_words(each.text, store) for each in batch],
        )
    await fetch_value(connection, INSERT_VECTORS, indexed=indexed, vectors=b"".join(each.vector for each in chunks))


async def unindex(connection: Connection, store_id: str, file_id: str | None = None) -> None:
    """Let a file of a vector store be found no more; all of its files without ``file_id``."""
    store = await fetch_value(connection, STORE, id=store_id)
    if file_id is None:
        await fetch_value(connection, DELETE_FILES, store=store)
    else:
        await fetch_value(connection, DELETE_FILE, store=store, file_id=file_id)


async def relabel(
    connection: Connection, store_id: str, file_id: str, attributes: Mapping[str, str | float | bool]
) -> None:
    """Replace what searches for a file of a vector store are filtered by."""
    store = await fetch_value(connection, STORE, id=store_id)
    await fetch_value(connection, RELABEL, attributes=_json(attributes), store=store, file_id=file_id)


async def sweep(connection: Connection, limit: int) -> int:
    """Take away up to ``limit`` chunks that no file has any more; return how many there were."""
    swept = 0
    while swept < limit and (indexed := await fetch_value(connection, UNINDEXED)) is not None:
        first, left = indexed << CHUNK_BITS, limit - swept
        gone = await fetch_value(connection, DELETE_CHUNKS, first=first, beyond=first + (1 << CHUNK_BITS), limit=left)
        swept += gone
        if gone < left:
            await fetch_value(connection, DELETE_VECTORS, indexed=indexed)
            await fetch_value(connection, SWEPT, indexed=indexed)
    return swept


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


# -------------------------------------------------------------------------------------------- reading


async def indexed_files(connection: Connection, store_id: str, has_index: bool) -> list[IndexedFile]:
    """See `holdover.store.protocol.Store.indexed_files`; so for the others below."""
    return [
        IndexedFile(
            indexed, file_id, file_name, msgspec.json.decode(attributes), embedder, has_index and placed is True
        )
        for indexed, file_id, file_name, attributes, embedder, placed in await fetch_rows(
            connection, FILES, id=store_id
        )
    ]


async def load_vectors(connection: Connection, indexed: Sequence[int]) -> list[FileVectors]:
    rows = await fetch_rows(connection, VECTORS, indexed=list(indexed))
    return [FileVectors(number, number << CHUNK_BITS, vectors) for number, vectors in rows]


async def match_words(
    connection: Connection, store_id: str, text: str, limit: int, indexed: Sequence[int] | None
) -> list[tuple[int, float]]:
    store = await fetch_value(connection, STORE, id=store_id)
    words = " ".join(query_words(text, store)) if store is not None else ""
    stems = await fetch_rows(connection, COUNT_WORDS, words=words, limit=MAX_POSTINGS + 1)
    counted = [(found, f"'{stem}'") for stem, found in stems]
    chosen = rarest(counted)
    if not chosen:
        return []
    total = await fetch_value(connection, COUNT_CHUNKS, store=store)

    def rarity(count: int) -> float:  # as BM25 has it
        # Chunks that are gone and yet to be swept are counted, too: there may be more of them than there are chunks.
        return math.log1p(max(0.5, total - count + 0.5) / (count + 0.5))

    weights = [rarity(count) for count, _ in chosen]
    most = sum(weights) + sum(rarity(0) for count, _ in counted if not count)
    asked: dict[str, Any] = {
        "each": [stem for _, stem in chosen],
        "weights": weights,
        "any": " | ".join(stem for _, stem in chosen),
        "limit": limit,
        "indexed": list(indexed or ()),
    }
    rows = await fetch_rows(connection, MATCH[indexed is not None], **asked)
    return [(chunk, min(1.0, float(rank) / most)) for chunk, rank in rows]


async def passages(connection: Connection, numbers: Sequence[int]) -> list[Passage]:
    return [Passage(*row) for row in await fetch_rows(connection, PASSAGES, ids=list(numbers))]


async def indexed_text(connection: Connection, store_id: str, file_id: str) -> str | None:
    text: str | None = await fetch_value(connection, TEXT, id=store_id, file_id=file_id)
    return text
