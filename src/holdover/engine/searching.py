"""File search in runs: what the model looks for is searched in the vector stores of its assistant and its thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from holdover.errors import InternalServerError
from holdover.store.protocol import Store
from holdover.tools.file_search.protocol import Hit, Ranking, Searcher
from holdover.wire.runs import Run
from holdover.wire.steps import (
    FileSearchCallDetails,
    FileSearchRanking,
    FileSearchResult,
    FileSearchResultContent,
)
from holdover.wire.tools import DEFAULT_RANKER, FileSearchOptions, FileSearchTool, RankingOptions

from .acting import Room, ToolFailure
from .searchable import expired, stores_of
from .turn import References

#: How many passages are found where nobody says how many (the hosted service's: fewer for its smallest window).
DEFAULT_RESULTS = 20
DEFAULT_RESULTS_SMALL = 5
SMALL = "gpt-3.5-turbo"


class Citations(Protocol):
    """Shows passages to the model so that it can cite them, and finds what it cites."""

    def present(self, passages: FileSearchCallDetails, ordinal: int) -> str:
        """Return what the model is told; ``ordinal`` counts the run's searches from 0."""

    def citer(self, searches: Sequence[FileSearchCallDetails]) -> References:
        """Return what finds the citations of these searches in a text."""


class FileSearch:
    """Searches the files that a run may see. See `holdover.engine.acting.Search`."""

    def __init__(
        self,
        store: Store,
        searcher: Searcher,
        citations: Citations,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._searcher = searcher
        self._citations = citations
        self._sleep = sleep

    async def search(self, run: Run, query: str, room: Room) -> FileSearchCallDetails:
        """Return what was found, the best first, with its passages, as much of it as there is room for.

        Raises:
            ToolFailure: A vector store has expired, or nobody can search.
        """
        searchable = await stores_of(self._store, run, sleep=self._sleep)
        if searchable.expired is not None:
            raise ToolFailure(expired(searchable.expired).message)
        options = _options(run)
        given = options.ranking_options or RankingOptions(score_threshold=0.0)
        limit = options.max_num_results or (DEFAULT_RESULTS_SMALL if SMALL in run.model else DEFAULT_RESULTS)
        hits: list[Hit] = []
        if searchable.store_ids and query:
            try:
                hits = await self._searcher.search(searchable.store_ids, [query], limit=limit, ranking=_ranking(given))
            except InternalServerError as error:
                raise ToolFailure(f"The files could not be searched: {error.message}") from error
        return FileSearchCallDetails(
            ranking_options=FileSearchRanking(
                ranker=given.ranker or DEFAULT_RANKER, score_threshold=given.score_threshold
            ),
            results=[_result(hit) for hit in _fitting(hits, room)],
        )

    def present(self, found: FileSearchCallDetails, ordinal: int) -> str:
        """Return what the model is told of a search."""
        return self._citations.present(found, ordinal)

    def citations(self, searches: Sequence[FileSearchCallDetails]) -> References:
        """Return what finds the citations of a run's searches in a text."""
        return self._citations.citer(searches)


def _options(run: Run) -> FileSearchOptions:
    tool = next((tool for tool in run.tools if isinstance(tool, FileSearchTool)), None)
    return (tool.file_search if tool else None) or FileSearchOptions()


def _ranking(given: RankingOptions) -> Ranking:
    weights = msgspec.structs.asdict(given.hybrid_search) if given.hybrid_search else {}
    return Ranking(score_threshold=given.score_threshold, **weights)


def _fitting(hits: Sequence[Hit], room: Room) -> Sequence[Hit]:
    """Return the best hits, as many as there is room for; one at least."""
    left = room.tokens
    for number, hit in enumerate(hits):
        left -= room.count(hit.text)
        if left < 0 and number:
            return hits[:number]
    return hits


def _result(hit: Hit) -> FileSearchResult:
    return FileSearchResult(
        file_id=hit.file_id,
        file_name=hit.file_name,
        score=min(1.0, max(0.0, hit.score)),
        attributes=dict(hit.attributes),
        content=[FileSearchResultContent(text=hit.text)],
    )
