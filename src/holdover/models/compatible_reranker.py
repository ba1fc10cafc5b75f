"""A reranker behind an endpoint that has ``/rerank``, as Cohere, Jina, vLLM and Hugging Face's TEI have."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from holdover.errors import InternalServerError

from .endpoint import Endpoint
from .upstream import Upstream

DEFAULT_TIMEOUT_S = 10.0


class CompatibleReranker:
    """Asks an endpoint. See `holdover.tools.file_search.protocol.Reranker`.

    Args:
        base_url: The endpoint's address, without ``/rerank``.
        model: Its own name for the model, if it has several.
    """

    def __init__(
        self,
        upstream: Upstream,
        *,
        base_url: str,
        model: str | None = None,
        api_key: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._model = model
        self._endpoint = Endpoint(
            upstream, f"{base_url}/rerank", what="reranker", api_key=api_key, timeout_s=timeout_s, sleep=sleep
        )

    async def rerank(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        texts = list(passages)
        # TEI calls the documents "texts", and passes over what it does not know, as the others do.
        asked: dict[str, Any] = {"query": query, "documents": texts, "texts": texts, "return_documents": False}
        if self._model is not None:
            asked["model"] = self._model
        scores = _scores(await self._endpoint.ask(asked), len(texts))
        if scores is None:
            raise InternalServerError("The reranker cannot be used: its answer has not a score for each passage.")
        return scores

    async def close(self) -> None:
        """Nothing is held; the connections are the upstream's."""


def _scores(answer: Any, count: int) -> list[float] | None:
    """Return the scores of an answer in the order of the passages, kept within 0..1; ``None`` if it is not one."""
    try:
        listed = answer["results"] if isinstance(answer, dict) else answer
        scores = {
            each["index"]: float(each["relevance_score"] if "relevance_score" in each else each["score"])
            for each in listed
        }
    except (KeyError, TypeError, ValueError):
        return None
    if set(scores) != set(range(count)):
        return None
    return [min(max(scores[at], 0.0), 1.0) if scores[at] == scores[at] else 0.0 for at in range(count)]
