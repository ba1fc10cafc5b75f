"""Searches over both databases: by meaning, by words, by both; filtered, merged, kept up to date."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest
from tests.store.conftest import STORES, Opener
from tests.store.objects import add
from tests.store.test_chunks import carry_out
from tests.tools.embedders import WordEmbedder

from holdover.errors import InternalServerError
from holdover.store.protocol import NewChunk, NewIndexedFile, Store
from holdover.tools.file_search import ranking, vectors
from holdover.tools.file_search.protocol import Hit, Ranking
from holdover.tools.file_search.search import HybridSearcher

SYNONYMS = {"vessel": "ship", "ships": "ship"}
FILES = {
    "file-ship": "A ship sailed north with timber.",
    "file-harbour": "The harbour closes at night.",
    "file-code": "Error XK-4711 means that the pump is stuck.",
    "file-bread": "Bread is baked from flour.",
}


@pytest.fixture(params=STORES)
def open_store(request: pytest.FixtureRequest) -> Opener:
    return STORES[request.param]


@pytest.fixture
async def store(open_store: Opener, tmp_path: Any) -> AsyncIterator[Store]:
    """A store with two vector stores, the first with a few files."""
    opened = await open_store(tmp_path)
    await add(opened, "vs_1", "vs_2", kind="vector_store")
    for number, (file_id, text) in enumerate(FILES.items()):
        await index(opened, "vs_1", file_id, text, attributes={"number": float(number)})
    yield opened
    await opened.close()


async def index(store: Store, store_id: str, file_id: str, *texts: str, embedder: Any = None, **more: Any) -> None:
    made = embedder or WordEmbedder(synonyms=SYNONYMS)
    rows = (await made.embed_passages(texts)).astype("<f2")
    chunks = [
        NewChunk(text=text, start=0, end=len(text), tokens=5, vector=row.tobytes())
        for text, row in zip(texts, rows, strict=True)
    ]
    file = NewIndexedFile(
        file_id=file_id,
        file_name=f"{file_id}.txt",
        attributes=more.get("attributes", {}),
        embedder=made.identity,
        text="".join(texts),
    )
    await carry_out(store, "index_file", store_id, file, chunks)


def searcher(store: Store, **options: Any) -> HybridSearcher:
    return HybridSearcher(store, WordEmbedder(synonyms=SYNONYMS), **options)


async def ids(searching: HybridSearcher, *queries: str, stores: Sequence[str] = ("vs_1",), **options: Any) -> list[str]:
    ranked = Ranking(**{name: options.pop(name) for name in list(options) if name in Ranking.__struct_fields__})
    hits = await searching.search(stores, queries, limit=options.pop("limit", 10), ranking=ranked, **options)
    assert all(0 <= hit.score <= 1 for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    return [hit.file_id for hit in hits]


async def test_meaning_finds_what_shares_no_word(store: Store) -> None:
    assert (await ids(searcher(store), "vessel"))[0] == "file-ship"
    assert await ids(searcher(store), "vessel", embedding_weight=0) == []


async def test_words_find_what_means_nothing_to_the_embedder(store: Store) -> None:
    assert await ids(searcher(store), "XK 4711", embedding_weight=0) == ["file-code"]
    assert await ids(HybridSearcher(store, None), "harbours") == ["file-harbour"]


async def test_a_hit_says_where_it_is_from(store: Store) -> None:
    [hit, *_] = await searcher(store).search(["vs_1"], ["harbour"], limit=1, ranking=Ranking())
    assert hit == Hit(
        store_id="vs_1",
        file_id="file-harbour",
        file_name="file-harbour.txt",
        attributes={"number": 1.0},
        score=hit.score,
        text=FILES["file-harbour"],
        start=0,
        end=28,
    )


async def test_what_fits_has_a_high_score_and_what_does_not_a_low_one(store: Store) -> None:
    [fits, *rest] = await searcher(store).search(["vs_1"], ["bread is baked from flour"], limit=10, ranking=Ranking())
    assert fits.score > 0.7
    assert all(hit.score < 0.3 for hit in rest)
    assert await ids(searcher(store), "bread is baked from flour", score_threshold=0.5) == ["file-bread"]


async def test_files_are_filtered_before_they_are_ranked(store: Store) -> None:
    assert await ids(searcher(store), "ship", accepts=lambda attributes: attributes["number"] == 1.0) == [
        "file-harbour"
    ]
    assert await ids(searcher(store), "ship", accepts=lambda attributes: False) == []


async def test_several_questions_find_what_each_of_them_finds(store: Store) -> None:
    assert set(await ids(searcher(store), "ship", "bread flour", " ", limit=2)) == {"file-ship", "file-bread"}


async def test_no_question_finds_nothing(store: Store) -> None:
    assert await ids(searcher(store)) == []
    assert await ids(searcher(store), "  ", "") == []


async def test_several_vector_stores_are_one_search(store: Store) -> None:
    await index(store, "vs_2", "file-other", "A ship in a bottle")
    assert set((await ids(searcher(store), "ship", stores=["vs_1", "vs_2"]))[:2]) == {"file-ship", "file-other"}
    assert await ids(searcher(store), "ship", stores=["vs_2", "vs_2"]) == ["file-other"]
    assert await ids(searcher(store), "ship", stores=["vs_none"]) == []
    assert await ids(searcher(store), "ship", stores=[]) == []


async def test_what_changes_is_seen_by_the_next_search(store: Store) -> None:
    searching = searcher(store)
    assert (await ids(searching, "ship"))[0] == "file-ship"
    await index(store, "vs_1", "file-new", "ship ship")
    assert (await ids(searching, "ship"))[0] == "file-new"
    await index(store, "vs_1", "file-new", "something else")
    assert (await ids(searching, "ship"))[0] == "file-ship"
    await carry_out(store, "unindex", "vs_1", "file-ship")
    assert "file-ship" not in await ids(searching, "ship")
    await store.delete("vector_store", "vs_1")
    assert await ids(searching, "ship") == []


async def test_a_file_of_another_embedder_is_found_by_words_only(store: Store) -> None:
    await index(store, "vs_2", "file-old", "ship", embedder=WordEmbedder("words:0", SYNONYMS))
    assert await ids(searcher(store), "vessel", stores=["vs_2"]) == []
    assert await ids(searcher(store), "ship", stores=["vs_2"]) == ["file-old"]


async def test_a_store_that_does_not_fit_is_searched_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "PORTION", 2)
    small = searcher(store, cache_bytes=300)
    assert await ids(small, "vessel harbour") == await ids(searcher(store), "vessel harbour")
    assert small._cache.bytes == 0


async def test_the_cache_keeps_what_was_used_last_within_its_budget(store: Store) -> None:
    await index(store, "vs_2", "file-other", "A ship in a bottle")
    searching = searcher(store, cache_bytes=4 * (64 * 4 + 16))
    await ids(searching, "ship")
    assert list(searching._cache._matrices) == ["vs_1"]
    await ids(searching, "ship", stores=["vs_2"])
    assert list(searching._cache._matrices) == ["vs_2"]
    assert searching._cache.bytes == 64 * 4 + 16


async def test_nothing_is_loaded_twice(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Sequence[int]] = []
    load = store.load_vectors

    async def counted(indexed: Sequence[int]) -> Any:
        asked.append(indexed)
        return await load(indexed)

    monkeypatch.setattr(store, "load_vectors", counted)
    searching = searcher(store)
    await ids(searching, "ship", "bread", "harbour")
    await ids(searching, "ship")
    assert [len(each) for each in asked] == [4]


async def test_an_embedder_that_fails_fails_the_search(store: Store) -> None:
    embedder = WordEmbedder()
    embedder.fails = True
    with pytest.raises(InternalServerError, match="embedder cannot be used"):
        await ids(HybridSearcher(store, embedder), "ship")


class Lengths:
    """A reranker that likes long passages."""

    fails = False

    async def rerank(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        if self.fails:
            raise InternalServerError("The reranker cannot be used: it was told so.")
        return [len(passage) / 100 for passage in passages]

    async def close(self) -> None:
        return None


async def test_a_reranker_has_the_last_word_unless_it_fails_or_is_not_wanted(store: Store) -> None:
    reranker = Lengths()
    searching = searcher(store, reranker=reranker)
    longest = sorted(FILES, key=lambda file_id: -len(FILES[file_id]))
    assert await ids(searching, "ship") == longest
    assert await ids(searching, "ship", limit=1) == longest[:1]
    assert await ids(searching, "ship", score_threshold=0.4) == longest[:1]
    assert (await ids(searching, "ship", ranker="none"))[0] == "file-ship"
    reranker.fails = True
    assert (await ids(searching, "ship"))[0] == "file-ship"


def test_fusion_rewards_what_both_rankings_have() -> None:
    fused = ranking.fuse([(1, [1, 2, 3]), (1, [4, 3, 2])])
    assert ranking.best_first(fused)[:2] in ([2, 3], [3, 2])
    assert ranking.best_first(ranking.fuse([(1, [1, 2]), (0, [3])])) == [1, 2]
    assert ranking.best_first(ranking.fuse([(1, [1, 2]), (5, [3, 1])])) == [1, 3, 2]


def test_the_nearest_are_the_nearest() -> None:
    made = np.random.default_rng(1).standard_normal((500, 8)).astype(np.float32)
    matrix = vectors.Matrix(made, np.arange(500), np.repeat(np.arange(50), 10))
    for limit in (1, 7, 500, 900):
        found = matrix.nearest(made[3], limit)
        assert [chunk for chunk, _ in found] == np.argsort(-(made @ made[3])).tolist()[:limit]
    chosen = matrix.nearest(made[3], 500, np.array([2, 49]))
    assert {chunk for chunk, _ in chosen} == {*range(20, 30), *range(490, 500)}
    assert matrix.cosines(made[3], [5, 900]) == {5: pytest.approx(float(made[5] @ made[3]))}
