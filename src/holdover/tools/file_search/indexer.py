"""Turns a file into text and chunks with vectors: read it, cut it, embed it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from holdover.errors import InternalServerError

from . import chunking, tokens
from .failures import MAX_TOKENS, TOO_LARGE, Unreadable
from .parsing import Parsers
from .protocol import CHUNK_OVERLAP_TOKENS, MAX_CHUNK_SIZE_TOKENS, WORDS_ONLY, Chunk, Embedder, Indexed

if TYPE_CHECKING:
    from .chunking import Span
    from .protocol import Vectors
    from .tokens import Tokenized

#: Windows that are asked for at once; the embedder cuts them up further.
PORTION = 64


def _usage_bytes(chunks: list[Chunk]) -> int:
    # As the hosted API counted: 1,045 for a file of 21 bytes, which is those and a vector of 256 float32.
    return sum(len(chunk.text.encode()) + len(chunk.vector) for chunk in chunks)


class FileIndexer:
    """See `holdover.tools.file_search.protocol.Indexer`.

    Args:
        embedder: Makes the vectors; without one, chunks have none.
    """

    def __init__(self, parsers: Parsers, embedder: Embedder | None) -> None:
        self._parsers = parsers
        self._embedder = embedder

    @property
    def identity(self) -> str:
        return self._embedder.identity if self._embedder is not None else WORDS_ONLY

    async def index(
        self,
        path: str,
        file_name: str,
        *,
        max_chunk_size_tokens: int = MAX_CHUNK_SIZE_TOKENS,
        chunk_overlap_tokens: int = CHUNK_OVERLAP_TOKENS,
        on_text: Callable[[Indexed], Awaitable[None]] | None = None,
    ) -> Indexed:
        """See `Indexer.index`."""
        size, overlap = max_chunk_size_tokens, chunk_overlap_tokens
        text = await asyncio.to_thread(tokens.tokenize, await self._parsers.read_text(path, file_name))
        if text.count > MAX_TOKENS:
            raise TOO_LARGE
        spans = chunking.chunk_spans(text.count, size=size, overlap=overlap)
        chunks = await asyncio.to_thread(chunking.make_chunks, text, spans)
        if self._embedder is not None:
            if on_text is not None:
                await on_text(Indexed(text.text, chunks, _usage_bytes(chunks)))
            windows = chunking.window_spans(text.count, size=size, overlap=overlap, seen=self._embedder.max_tokens)
            vectors = await self._embed(self._embedder, text, windows)
            merged = await asyncio.to_thread(chunking.merge_windows, vectors, windows, spans)
            rows = merged.astype("<f2")
            chunks = [
                msgspec.structs.replace(chunk, vector=row.tobytes()) for chunk, row in zip(chunks, rows, strict=True)
            ]
        return Indexed(text.text, chunks, _usage_bytes(chunks))

    async def close(self) -> None:
        """End the children that read files."""
        await self._parsers.close()

    async def _embed(self, embedder: Embedder, text: Tokenized, windows: list[Span]) -> Vectors:
        import numpy as np

        parts = []
        try:
            for at in range(0, len(windows), PORTION):
                texts = [text.part(window.first, window.beyond) for window in windows[at : at + PORTION]]
                parts.append(await embedder.embed_passages(texts))
        except InternalServerError as error:
            raise Unreadable("server_error", str(error)) from error
        return np.concatenate(parts)
