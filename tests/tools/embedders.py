"""An embedder that needs no weights: a direction for every word."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from holdover.errors import InternalServerError

DIMENSIONS = 64


class WordEmbedder:
    """Texts that share words are near; ``synonyms`` are one word to it."""

    max_tokens = 200

    def __init__(self, identity: str = "words:1", synonyms: dict[str, str] | None = None) -> None:
        self.identity = identity
        self.synonyms = synonyms or {}
        self.embedded: list[str] = []
        self.fails = False

    async def embed_passages(self, texts: Sequence[str]) -> Any:
        if self.fails:
            raise InternalServerError("The embedder cannot be used: it was told so.")
        self.embedded += texts
        return np.stack([self._embed(text) for text in texts])

    async def embed_queries(self, texts: Sequence[str]) -> Any:
        return await self.embed_passages(texts)

    async def close(self) -> None:
        return None

    def _embed(self, text: str) -> Any:
        vector = np.zeros(DIMENSIONS, np.float32)
        for word in re.findall(r"\w+", text.lower()):
            word = self.synonyms.get(word, word)
            vector += np.random.default_rng(zlib.crc32(word.encode())).standard_normal(DIMENSIONS, np.float32)
        length = np.linalg.norm(vector)
        return vector / length if length else vector
