"""An embedder behind any endpoint that speaks OpenAI's embeddings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from holdover.errors import InternalServerError

from .embedding import normalized
from .endpoint import Endpoint
from .upstream import Upstream

if TYPE_CHECKING:
    from .embedding import Vectors

DEFAULT_TIMEOUT_S = 60.0
#: Texts and characters of one request, and requests at the same time.
BATCH, BATCH_CHARACTERS = 64, 200_000
MAX_REQUESTS = 4
#: What a model sees, where nothing else is said: OpenAI's own models, and most others.
OPENAI_TOKENS, OTHER_TOKENS = 8191, 512
MAX_DIMENSIONS = 8192


class CompatibleEmbedder:
    """Asks an endpoint. See `holdover.tools.file_search.protocol.Embedder`.

    Args:
        base_url: The endpoint's address, up to and including ``/v1``.
        model: Its own name for the model.
        dimensions: How many numbers a vector is to have, for models that can be told.
        max_tokens: How much of a text the model sees.
    """

    def __init__(
        self,
        upstream: Upstream,
        *,
        base_url: str,
        model: str,
        api_key: str | None = None,
        dimensions: int | None = None,
        max_tokens: int | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.identity = f"{model}:{dimensions or 'full'}"
        self.max_tokens = max_tokens or (OPENAI_TOKENS if model.startswith("text-embedding-") else OTHER_TOKENS)
        self._endpoint = Endpoint(
            upstream,
            f"{base_url}/embeddings",
            what="embedder",
            api_key=api_key,
            timeout_s=timeout_s,
            sleep=sleep,
        )
        self._asked: dict[str, Any] = {"model": model, "encoding_format": "float"}
        if dimensions is not None:
            self._asked["dimensions"] = dimensions
        self._turns = asyncio.Semaphore(MAX_REQUESTS)

    async def embed_passages(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        async def ask(batch: Sequence[str]) -> Vectors:
            async with self._turns:
                return await self._ask(batch)

        parts = await asyncio.gather(*map(ask, _batches(texts)))
        if len({part.shape[1] for part in parts}) != 1:
            raise InternalServerError("The embedder cannot be used: its vectors have different lengths.")
        return np.concatenate(parts)

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return await self._ask(texts)

    async def close(self) -> None:
        """Nothing is held; the connections are the upstream's."""

    async def _ask(self, texts: Sequence[str]) -> Vectors:
        # Empty texts are refused by some.
        answer = await self._endpoint.ask({**self._asked, "input": [text if text.strip() else "." for text in texts]})
        vectors = _vectors(answer, len(texts))
        if vectors is None:
            raise InternalServerError("The embedder cannot be used: its answer has not a vector for each text.")
        return normalized(vectors)


def _batches(texts: Sequence[str]) -> list[list[str]]:
    batches: list[list[str]] = [[]]
    characters = 0
    for text in texts:
        if batches[-1] and (len(batches[-1]) == BATCH or characters + len(text) > BATCH_CHARACTERS):
            batches.append([])
            characters = 0
        batches[-1].append(text)
        characters += len(text)
    return batches


def _vectors(answer: Any, count: int) -> Vectors | None:
    """Return the vectors of an answer, in the order of the texts; ``None`` if it is not one."""
    import numpy as np

    try:
        listed = sorted(answer["data"], key=lambda each: each["index"])
        if [each["index"] for each in listed] != list(range(count)):
            return None
        numbers = np.asarray([each["embedding"] for each in listed], np.float64)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    # Numbers of embedders are small; what is beyond float32 is not one of theirs.
    if numbers.ndim != 2 or not 0 < numbers.shape[1] <= MAX_DIMENSIONS or not (np.abs(numbers) < 1e30).all():
        return None
    return numbers.astype(np.float32)
