"""PostgreSQL's index of vectors: what it finds beside what a scan of everything finds, and where it cannot be had."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]
import numpy as np
import pytest
from tests import postgres
from tests.store.objects import add
from tests.store.test_chunks import carry_out

from holdover.store.postgres import PostgresStore, inspect, nearest
from holdover.store.protocol import NewChunk, NewIndexedFile
from holdover.tools.file_search.protocol import Ranking
from holdover.tools.file_search.search import HybridSearcher

DIMENSIONS = 24
FILES, CHUNKS = 100, 30
LIMIT = 50


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


class Fixed:
    """An embedder whose questions are numbers of vectors."""

    identity = "fixed:1"
    max_tokens = 10

    def __init__(self, made: Any) -> None:
        self.made = made

    async def embed_passages(self, texts: Sequence[str]) -> Any:
        return self.made[[int(text) for text in texts]]

    async def embed_queries(self, texts: Sequence[str]) -> Any:
        return await self.embed_passages(texts)

    async def close(self) -> None:
        return None


@pytest.fixture
def made() -> Any:
    """Vectors of 100 files with 30 chunks each, of 20 subjects: float32 of shape (3000, 24)."""
    random = np.random.default_rng(4)
    subjects = random.standard_normal((20, DIMENSIONS))
    rows = subjects[random.integers(0, 20, FILES * CHUNKS)] + random.standard_normal((FILES * CHUNKS, DIMENSIONS))
    return unit(rows).astype("<f2").astype(np.float32)


async def index(store: PostgresStore, number: int, vectors: Any, embedder: str = "fixed:1") -> None:
    chunks = [
        NewChunk(text=f"chunk {number * CHUNKS + n}", start=0, end=5, tokens=1, vector=row.astype("<f2").tobytes())
        for n, row in enumerate(vectors)
    ]
    name = f"file-{number:03}"
    file = NewIndexedFile(
        file_id=name, file_name=f"{name}.txt", attributes={"number": float(number)}, embedder=embedder, text="-"
    )
    await carry_out(store, "index_file", "vs_one", file, chunks)


@pytest.fixture
async def store(tmp_path: Path, made: Any) -> AsyncIterator[PostgresStore]:
    opened = await PostgresStore.open(await postgres.database_url(tmp_path))
    if opened._database.near is None:
        pytest.skip("this PostgreSQL has no pgvector")
    await add(opened, "vs_one", "vs_two", kind="vector_store")
    for number in range(FILES):
        await index(opened, number, made[number * CHUNKS : (number + 1) * CHUNKS])
    yield opened
    await opened.close()


async def place(store: PostgresStore) -> int:
    count = 0
    while done := await store.place_chunks(19):  # less than a file has
        assert done <= 19
        count += done
    return count


@pytest.fixture
async def placed(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> PostgresStore:
    """A store whose chunks are all found by the index, however few a filter leaves."""
    monkeypatch.setattr(nearest, "SCANNED_CHUNKS", 0)
    monkeypatch.setattr(nearest, "COMPARED_CHUNKS", -1)
    assert await place(store) == FILES * CHUNKS
    return store


async def indexings(store: PostgresStore) -> list[int]:
    return [each.indexed for each in await store.indexed_files("vs_one")]


def best(numbers: Sequence[int], made: Any, question: Any, limit: int = LIMIT) -> dict[int, float]:
    """Return what comparing everything finds: the chunks of files whose indexings have these numbers, in order."""
    cosines = made @ question
    chunks = np.concatenate([(number << 20) + np.arange(CHUNKS) for number in numbers])
    return {int(chunks[at]): float(cosines[at]) for at in np.argsort(-cosines)[:limit]}


def recall(found: Sequence[tuple[int, float]], wanted: dict[int, float]) -> float:
    got = dict(found)
    for chunk in got.keys() & wanted.keys():
        assert got[chunk] == pytest.approx(wanted[chunk], abs=2e-3)
    return len(got.keys() & wanted.keys()) / len(wanted)


async def plan(store: PostgresStore, indexed: Sequence[int], question: Any) -> str:
    query = nearest._nearest(DIMENSIONS, exact=False)
    asked = {"vector": nearest._text(question), "indexed": list(indexed), "limit": LIMIT}

    async def explained(connection: Any) -> Any:
        await connection.execute(store._database.near)
        return await connection.fetch(f"EXPLAIN {query.sql}", *query.arguments(asked))

    return "\n".join(row[0] for row in await store._database.write(explained))


async def test_the_index_finds_what_comparing_everything_finds(placed: PostgresStore, made: Any) -> None:
    numbers = await indexings(placed)
    shares = []
    for question in made[::300]:
        found = await placed.nearest(question.tolist(), limit=LIMIT, indexed=numbers)
        assert len(found) == LIMIT
        shares.append(recall(found, best(numbers, made, question)))
    assert np.mean(shares) >= 0.95
    assert f"placed_chunks_{DIMENSIONS}" in await plan(placed, numbers, made[0])


@pytest.mark.parametrize("compared", [-1, nearest.COMPARED_CHUNKS])
async def test_a_filter_that_leaves_one_of_a_hundred_leaves_all_of_its_chunks(
    placed: PostgresStore, made: Any, monkeypatch: pytest.MonkeyPatch, compared: int
) -> None:
    monkeypatch.setattr(nearest, "COMPARED_CHUNKS", compared)
    numbers = await indexings(placed)
    for at in (0, 57):
        found = await placed.nearest(made[3].tolist(), limit=20, indexed=[numbers[at]])
        wanted = best([numbers[at]], made[at * CHUNKS : (at + 1) * CHUNKS], made[3], 20)
        assert len(found) == 20
        assert recall(found, wanted) >= 0.95
    assert await placed.nearest(made[3].tolist(), limit=20, indexed=[]) == []


async def test_what_is_indexed_again_or_gone_is_found_no_more_and_swept(placed: PostgresStore, made: Any) -> None:
    before = await indexings(placed)
    await carry_out(placed, "unindex", "vs_one", "file-000")
    await index(placed, 1, -made[CHUNKS : 2 * CHUNKS])
    after = await indexings(placed)
    assert await place(placed) == CHUNKS
    found = await placed.nearest(made[0].tolist(), limit=3000, indexed=after)
    assert {chunk >> 20 for chunk, _ in found} == {*after}
    [(_, cosine)] = await placed.cosines(made[CHUNKS].tolist(), [after[-1] << 20], indexed=after)
    assert cosine == pytest.approx(-1, abs=2e-3)
    while await placed.sweep_chunks(1000):
        pass
    left = "SELECT DISTINCT indexed FROM placed_chunks ORDER BY indexed"
    rows = await placed._database.read(lambda connection: connection.fetch(left))
    assert [row[0] for row in rows] == after == [*before[2:], after[-1]]


async def test_so_many_chunks_are_left_to_be_compared_and_the_oldest_are_placed(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await place(store) == 0
    monkeypatch.setattr(nearest, "SCANNED_CHUNKS", 10 * CHUNKS)
    assert await place(store) == (FILES - 10) * CHUNKS
    assert [each.is_placed for each in await store.indexed_files("vs_one")] == [True] * (FILES - 10) + [False] * 10


async def test_a_search_merges_what_is_placed_with_what_is_compared(
    store: PostgresStore, made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hits(**options: Any) -> list[tuple[str, float]]:
        searching = HybridSearcher(store, Fixed(made))
        asked = ["1499", "2998", "3"]
        found = await searching.search(["vs_one"], asked, limit=30, ranking=Ranking(), **options)
        return [(hit.text, round(hit.score, 2)) for hit in found]

    def is_near_the_end(attributes: Any) -> bool:
        return bool(attributes["number"] >= FILES - 20)

    exact, filtered = await hits(), await hits(accepts=is_near_the_end)
    monkeypatch.setattr(nearest, "SCANNED_CHUNKS", 10 * CHUNKS)
    monkeypatch.setattr(nearest, "COMPARED_CHUNKS", -1)
    await place(store)
    for had, has in ((exact, await hits()), (filtered, await hits(accepts=is_near_the_end))):
        assert len({text for text, _ in had} & {text for text, _ in has}) >= 0.95 * len(had)
        assert [score for _, score in has] == pytest.approx([score for _, score in had], abs=0.02)
        assert has[0][0] == had[0][0]


async def test_embedders_have_an_index_each_and_what_no_index_takes_is_not_placed(
    placed: PostgresStore, made: Any
) -> None:
    before = await indexings(placed)
    await index(placed, 500, unit(np.ones((2, 8))), "eight")
    await index(placed, 501, unit(np.ones((2, 4001))), "large")
    await index(placed, 502, np.zeros((0, 8)), "eight")
    await index(placed, 503, np.array([[np.nan] * 8, [np.inf] * 8]), "eight")
    last = (await placed.indexed_files("vs_one"))[-4:]
    assert await place(placed) == 2 + 2 + 2  # four of them in vain, and that is remembered
    assert await place(placed) == 0
    assert [each.is_placed for each in (await placed.indexed_files("vs_one"))[-4:]] == [True, False, False, False]
    everything = [*before, *(each.indexed for each in last)]
    found = await placed.nearest(unit(np.ones(8)).tolist(), limit=5, indexed=everything)
    assert {chunk >> 20 for chunk, _ in found} == {last[0].indexed}
    assert len(await placed.nearest(made[0].tolist(), limit=5, indexed=everything)) == 5
    assert await placed.nearest(unit(np.ones(9)).tolist(), limit=5, indexed=everything) == []


async def test_of_processes_that_place_at_once_each_file_is_placed_by_one(
    store: PostgresStore, made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "SCANNED_CHUNKS", 95 * CHUNKS)
    other = await PostgresStore.open(await postgres.database_url(tmp_path))
    assert sum(await asyncio.gather(*(place(each) for each in (store, other, store)))) == 5 * CHUNKS
    await other.close()


async def test_without_the_extension_everything_is_compared(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a database of its own, whose user may make tables and no extension."""
    monkeypatch.setattr(nearest, "SCANNED_CHUNKS", 0)
    base = postgres.base_url()
    if isinstance(base, postgres.Unavailable):
        pytest.skip(f"no PostgreSQL: {base}")
    name = f"holdover_{secrets.token_hex(4)}"
    admin = await asyncpg.connect(base)
    await admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{name}'")
    await admin.execute(f"CREATE DATABASE {name}")
    inside = await asyncpg.connect(base, database=name)
    await inside.execute(f"GRANT CREATE ON SCHEMA public TO {name}")
    try:
        parts = urlsplit(base)
        where = f"{name}:{name}@{parts.netloc.rpartition('@')[2]}"
        url = parts._replace(netloc=where, path=f"/{name}").geturl()
        store = await PostgresStore.open(url)
        await add(store, "vs_one", kind="vector_store")
        await index(store, 0, made[:CHUNKS])
        assert await store.place_chunks(100) == 0
        assert await store.nearest(made[0].tolist(), limit=5, indexed=await indexings(store)) == []
        [hit] = await HybridSearcher(store, Fixed(made)).search(["vs_one"], ["7"], limit=1, ranking=Ranking())
        assert hit.text == "chunk 7"
        await store.close()
        assert "there is no pgvector" in await asyncio.to_thread(inspect, url)
        # An administrator allows it later.
        await inside.execute("CREATE EXTENSION vector")
        store = await PostgresStore.open(url)
        assert await store.place_chunks(100) == CHUNKS
        assert len(await store.nearest(made[0].tolist(), limit=5, indexed=await indexings(store))) == 5
        await store.close()
        assert "are found by an index" in await asyncio.to_thread(inspect, url)
    finally:
        await inside.close()
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.execute(f"DROP ROLE {name}")
        await admin.close()
