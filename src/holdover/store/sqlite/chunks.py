"""SQLite: the chunks of files, how they are written beside the objects, and how they are found.

The functions that write take the connection of a transaction that somebody else begins and ends: a file is completed
and its chunks are there, or neither. The row of a file that goes is gone at once, for every reader; what hangs on it is
taken away later, in portions (`sweep`).

Words are found by FTS5 and ranked by its ``bm25``. A long question in a large store would read a posting for nearly
every chunk, again and again: 170 ms of 100,000. So the rare words choose, and the frequent ones, which weigh next to
nothing, are left out when those are enough (`MAX_POSTINGS`).
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping, Sequence

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

#: What ``bm25`` gives a word at the most, in units of its rarity: its k1 is 1.2.
BM25_MOST = 2.2

_statements = load_statements("sqlite", "chunks.sql")

STORE = _statements["store"]
INSERT_FILE = _statements["insert_file"]
DELETE_FILE = _statements["delete_file"]
DELETE_FILES = _statements["delete_files"]
RELABEL = _statements["relabel"]
INSERT_CHUNK = _statements["insert_chunk"]
INSERT_WORDS = _statements["insert_words"]
DELETE_WORDS = _statements["delete_words"]
INSERT_VECTORS = _statements["insert_vectors"]
UNINDEXED = _statements["unindexed"]
UNINDEXED_CHUNKS = _statements["unindexed_chunks"]
DELETE_CHUNK = _statements["delete_chunk"]
DELETE_VECTORS = _statements["delete_vectors"]
SWEPT = _statements["swept"]
FILES = _statements["files"]
VECTORS = _statements["vectors"]
COUNT_WORD = _statements["count_word"]
COUNT_CHUNKS = _statements["count_chunks"]
MATCH = {chosen: for_case(_statements["match"], chosen=chosen) for chosen in (True, False)}
PASSAGES = _statements["passages"]
TEXT = _statements["text"]


# -------------------------------------------------------------------------------------------- writing


def index_file(connection: sqlite3.Connection, store_id: str, file: NewIndexedFile, chunks: Sequence[NewChunk]) -> None:
    """Write a file's text and chunks, in the place of what this vector store had of it.

    Raises:
        MissingReference: There is no such vector store.
    """
    store = _store(connection, store_id)
    if store is None:
        raise MissingReference(Reference("vector_store", store_id))
    connection.execute(DELETE_FILE, (store, file.file_id))
    row = {"store": store, **msgspec.structs.asdict(file), "attributes": _json(file.attributes), "chunks": len(chunks)}
    indexed = connection.execute(INSERT_FILE, row).lastrowid
    assert indexed is not None
    ids = range(indexed << CHUNK_BITS, (indexed << CHUNK_BITS) + len(chunks))
    connection.executemany(
        INSERT_CHUNK,
        [(id_, each.start, each.end, each.tokens, each.text) for id_, each in zip(ids, chunks, strict=True)],
    )
    connection.executemany(
        INSERT_WORDS, [(id_, marked_words(each.text, store)) for id_, each in zip(ids, chunks, strict=True)]
    )
    connection.execute(INSERT_VECTORS, (indexed, b"".join(each.vector for each in chunks)))


def unindex(connection: sqlite3.Connection, store_id: str, file_id: str | None = None) -> None:
    """Let a file of a vector store be found no more; all of its files without ``file_id``."""
    store = _store(connection, store_id)
    if file_id is None:
        connection.execute(DELETE_FILES, (store,))
    else:
        connection.execute(DELETE_FILE, (store, file_id))


def relabel(
    connection: sqlite3.Connection, store_id: str, file_id: str, attributes: Mapping[str, str | float | bool]
) -> None:
    """Replace what searches for a file of a vector store are filtered by."""
    connection.execute(RELABEL, (_json(attributes), _store(connection, store_id), file_id))


def sweep(connection: sqlite3.Connection, limit: int) -> int:
    """Take away up to ``limit`` chunks that no file has any more; return how many there were."""
    swept = 0
    while swept < limit and (row := connection.execute(UNINDEXED).fetchone()) is not None:
        indexed, store = row
        first = indexed << CHUNK_BITS
        left = limit - swept
        found = connection.execute(UNINDEXED_CHUNKS, (first, first + (1 << CHUNK_BITS), left)).fetchall()
        connection.executemany(DELETE_WORDS, [(id_, marked_words(text, store)) for id_, text in found])
        connection.executemany(DELETE_CHUNK, [(id_,) for id_, _ in found])
        swept += len(found)
        if len(found) < left:
            connection.execute(DELETE_VECTORS, (indexed,))
            connection.execute(SWEPT, (indexed,))
    return swept


def _store(connection: sqlite3.Connection, store_id: str) -> int | None:
    row = connection.execute(STORE, (store_id,)).fetchone()
    return row[0] if row else None


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


# -------------------------------------------------------------------------------------------- reading


def indexed_files(connection: sqlite3.Connection, store_id: str) -> list[IndexedFile]:
    """See `holdover.store.protocol.Store.indexed_files`; so for the others below."""
    return [
        IndexedFile(indexed, file_id, file_name, msgspec.json.decode(attributes), embedder)
        for indexed, file_id, file_name, attributes, embedder in connection.execute(FILES, (store_id,))
    ]


def load_vectors(connection: sqlite3.Connection, indexed: Sequence[int]) -> list[FileVectors]:
    rows = connection.execute(VECTORS, (_json(list(indexed)),))
    return [FileVectors(number, number << CHUNK_BITS, vectors) for number, vectors in rows]


def match_words(
    connection: sqlite3.Connection, store_id: str, text: str, limit: int, indexed: Sequence[int] | None
) -> list[tuple[int, float]]:
    store = _store(connection, store_id)
    words = query_words(text, store) if store is not None else []
    counted = [(_count(connection, f'"{word}"'), f'"{word}"') for word in words]
    chosen = rarest(counted)
    if not chosen:
        return []
    asked = {"words": " OR ".join(word for _, word in chosen), "limit": limit, "indexed": _json(list(indexed or ()))}
    # What is nowhere would be rare: a chunk that has all words but this one has not all.
    weights = [count for count, _ in counted if not count] + [count for count, _ in chosen]
    total = connection.execute(COUNT_CHUNKS).fetchone()[0]
    most = BM25_MOST * sum(
        max(1e-6, math.log((total - count + 0.5) / (count + 0.5))) for count in weights if count < total
    )
    rows = connection.execute(MATCH[indexed is not None], asked)
    return [(chunk, min(1.0, score / most) if most > 0 else 0.0) for chunk, score in rows]


def _count(connection: sqlite3.Connection, word: str) -> int:
    count: int = connection.execute(COUNT_WORD, {"word": word, "limit": MAX_POSTINGS + 1}).fetchone()[0]
    return count


def passages(connection: sqlite3.Connection, numbers: Sequence[int]) -> list[Passage]:
    return [Passage(*row) for row in connection.execute(PASSAGES, (_json(list(numbers)),))]


def indexed_text(connection: sqlite3.Connection, store_id: str, file_id: str) -> str | None:
    row = connection.execute(TEXT, (store_id, file_id)).fetchone()
    return row[0] if row else None
