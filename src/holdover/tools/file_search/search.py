"""Finds chunks by meaning and by words, and merges the two.

What is read is read from the database, so that what was committed is found and what is gone is not. Only vectors are
kept at hand (`vectors`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from holdover import telemetry
from holdover.errors import InternalServerError

from . import ranking as ranks
from .protocol import Accepts, ChunkStore, Embedder, Hit, IndexedFile, Passage, Ranking, Reranker
from .vectors import Matrix, VectorCache

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .protocol import Vectors

#: How many chunks either ranking brings in. What is in none of them has no score.
CANDIDATES = 200
#: How many of the best are looked at again, by the reranker or for their scores.
LOOKED_AT = 50
#: What vectors may take in memory, in bytes.
CACHE_BYTES = 512 * 1024 * 1024
#: So much of a question counts; what is longer is none.
MAX_QUERY_CHARACTERS = 10_000


class _Found(msgspec.Struct, frozen=True):
    """What a question found in one vector store.

    Attributes:
        near: The nearest chunks with their cosines, the nearest first.
        worded: Chunks that have its words, the best first, each with its share of the most they could score.
        cosines: Of all of these chunks that have a vector.
        shares: Of those that have words.
    """

    near: Sequence[tuple[int, float]]
    worded: Sequence[tuple[int, float]]
    cosines: dict[int, float]
    shares: dict[int, float]


class HybridSearcher:
    """See `holdover.tools.file_search.protocol.Searcher`.

    Args:
        embedder: Makes the vectors of questions; without one, words alone decide.
        reranker: Looks at the best again.
        cache_bytes: What vectors may take in memory.
    """

    def __init__(
        self,
        store: ChunkStore,
        embedder: Embedder | None,
        *,
        reranker: Reranker | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._reranker = reranker
        self._cache = VectorCache(store, cache_bytes)

    async def search(
        self,
        store_ids: Sequence[str],
        queries: Sequence[str],
        *,
        limit: int,
        ranking: Ranking,
        accepts: Accepts | None = None,
    ) -> list[Hit]:
        """See `Searcher.search`. The fusion picks what is looked at; the order is that of the scores."""
        asked = [query[:MAX_QUERY_CHARACTERS] for query in dict.fromkeys(queries) if query.strip()]
        if not asked:
            return []
        # The words are looked for meanwhile.
        embedding = asyncio.ensure_future(self._embed(asked, ranking))
        try:
            listed = {store_id: await self._store.indexed_files(store_id) for store_id in dict.fromkeys(store_ids)}
            found = await asyncio.gather(
                *(
                    self._look(store_id, files, query, (embedding, at), ranking, accepts)
                    for at, query in enumerate(asked)
                    for store_id, files in listed.items()
                )
            )
        finally:
            # Where nothing could be searched, nobody waited for it.
            embedding.cancel()
            embedding.add_done_callback(lambda done: done.cancelled() or done.exception())
        by_query = [found[at : at + len(listed)] for at in range(0, len(found), max(1, len(listed)))]
        order = ranks.best_first(ranks.fuse(part for each in by_query for part in _rankings(each, ranking)))
        scores = {chunk: _score(chunk, by_query, ranking) for chunk in order[:LOOKED_AT]}
        order = ranks.best_first(scores)
        if self._reranker is not None and ranking.ranker != "none":
            best, scores = await self._rerank(self._reranker, asked, await self._read(order), scores)
        else:
            best = await self._read(order[:limit])
        files = {file.indexed: (store_id, file) for store_id, each in listed.items() for file in each}
        # A file that was indexed after the list was read is not in it.
        hits = [
            _hit(*files[passage.indexed], passage, scores[passage.chunk])
            for passage in best
            if passage.indexed in files and scores[passage.chunk] >= ranking.score_threshold
        ]
        return hits[:limit]

    async def _embed(self, queries: Sequence[str], ranking: Ranking) -> Vectors | None:
        if self._embedder is None or ranking.embedding_weight <= 0:
            return None
        return await self._embedder.embed_queries(queries)

    async def _look(
        self,
        store_id: str,
        files: Sequence[IndexedFile],
        query: str,
        embedding: tuple[asyncio.Future[Vectors | None], int],
        ranking: Ranking,
        accepts: Accepts | None,
    ) -> _Found:
        accepted = None if accepts is None else [file.indexed for file in files if accepts(file.attributes)]
        if not files or accepted == []:
            return _Found([], [], {}, {})
        words = self._words(store_id, query, accepted) if ranking.text_weight > 0 else _nothing()
        worded, (vector, near) = await asyncio.gather(words, self._meaning(store_id, files, embedding, accepted))
        cosines = dict(near)
        rest = [chunk for chunk, _ in worded if chunk not in cosines]
        if rest and vector is not None:
            async for matrix in self._matrices(store_id, files, len(vector)):
                cosines |= matrix.cosines(vector, rest)
            if placed := self._comparable(files, is_placed=True):
                cosines |= dict(await self._store.cosines(vector.tolist(), rest, indexed=placed))
        return _Found(near, worded, cosines, dict(worded))

    async def _words(self, store_id: str, query: str, accepted: Sequence[int] | None) -> Sequence[tuple[int, float]]:
        return await self._store.match_words(store_id, query, limit=CANDIDATES, indexed=accepted)

    async def _meaning(
        self,
        store_id: str,
        files: Sequence[IndexedFile],
        embedding: tuple[asyncio.Future[Vectors | None], int],
        accepted: Sequence[int] | None,
    ) -> tuple[NDArray[np.float32] | None, list[tuple[int, float]]]:
        """Return the vector of a question, and the chunks nearest to it."""
        import numpy as np

        # Whoever waits for it with others must not end it for them.
        vectors, at = await asyncio.shield(embedding[0]), embedding[1]
        if vectors is None:
            return None, []
        vector = vectors[at]
        chosen = None if accepted is None else np.asarray(accepted, np.int64)
        near: list[tuple[int, float]] = []
        async for matrix in self._matrices(store_id, files, len(vector)):
            near += await asyncio.to_thread(matrix.nearest, vector, CANDIDATES, chosen)
        placed = self._comparable(files, is_placed=True)
        if accepted is not None:
            placed = sorted({*placed} & {*accepted})
        if placed:
            near += await self._store.nearest(vector.tolist(), limit=CANDIDATES, indexed=placed)
        return vector, sorted(near, key=lambda each: (-each[1], each[0]))[:CANDIDATES]

    def _matrices(self, store_id: str, files: Sequence[IndexedFile], dimensions: int) -> AsyncIterator[Matrix]:
        return self._cache.matrices(store_id, self._comparable(files, is_placed=False), dimensions)

    def _comparable(self, files: Sequence[IndexedFile], *, is_placed: bool) -> list[int]:
        """Return the indexings whose vectors can be compared with a question's, by where they are looked for."""
        # Files that another embedder saw are found by words until they are indexed again.
        identity = self._embedder.identity if self._embedder is not None else ""
        return [file.indexed for file in files if file.embedder == identity and file.is_placed == is_placed]

    async def _read(self, chunks: Sequence[int]) -> list[Passage]:
        read = {passage.chunk: passage for passage in await self._store.passages(chunks)} if chunks else {}
        return [read[chunk] for chunk in chunks if chunk in read]

    async def _rerank(
        self, reranker: Reranker, queries: Sequence[str], passages: list[Passage], scores: dict[int, float]
    ) -> tuple[list[Passage], dict[int, float]]:
        """Return passages by what the reranker makes of them; as they were, where it fails: they are an answer, too."""
        if not passages:
            return passages, scores
        try:
            texts = [passage.text for passage in passages]
            each = await asyncio.gather(*(reranker.rerank(query, texts) for query in queries))
        except InternalServerError as error:
            telemetry.emit("search.rerank_failure", error=error)
            return passages, scores
        best = {passage.chunk: max(values) for passage, *values in zip(passages, *each, strict=True)}
        return sorted(passages, key=lambda passage: -best[passage.chunk]), best


def _rankings(found: Sequence[_Found], ranking: Ranking) -> list[tuple[float, list[int]]]:
    """Return the two rankings of one question over all vector stores, each with its weight."""
    near = sorted((each for store in found for each in store.near), key=lambda each: (-each[1], each[0]))
    worded = sorted((each for store in found for each in store.worded), key=lambda each: (-each[1], each[0]))
    return [
        (ranking.embedding_weight, [chunk for chunk, _ in near]),
        (ranking.text_weight, [chunk for chunk, _ in worded]),
    ]


def _score(chunk: int, found: Sequence[Sequence[_Found]], ranking: Ranking) -> float:
    """Return how well a chunk fits the question that it fits best."""
    return max(
        ranks.relevance(
            nearness=each.cosines.get(chunk),
            words=each.shares.get(chunk, 0.0),
            embedding_weight=ranking.embedding_weight,
            text_weight=ranking.text_weight,
        )
        for stores in found
        for each in stores
        if chunk in each.cosines or chunk in each.shares
    )


def _hit(store_id: str, file: IndexedFile, passage: Passage, score: float) -> Hit:
    return Hit(
        store_id=store_id,
        file_id=file.file_id,
        file_name=file.file_name,
        attributes=file.attributes,
        score=score,
        text=passage.text,
        start=passage.start,
        end=passage.end,
    )


async def _nothing() -> list[tuple[int, float]]:
    return []
