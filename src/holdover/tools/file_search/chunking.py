"""Cuts a text into chunks of so many tokens, each repeating the end of the one before; pure.

A chunk is exact: its text is the file's text from ``start`` to ``end``.

The default embedder sees only a few hundred tokens, so that most of a chunk of 800 would go unnoticed. So the text is
cut into *windows* that the embedder sees whole; each is embedded once, and a chunk's vector is the mean of those it
covers. With the default sizes a window serves two chunks, which halves the work; measured, the first windows alone find
11 of 100 passages fewer (``docs/explanation/ranking.md``).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from .protocol import Chunk
from .tokens import Tokenized

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


class Span(msgspec.Struct, frozen=True):
    """Tokens from ``first`` up to and without ``beyond``."""

    first: int
    beyond: int


def chunk_spans(count: int, *, size: int, overlap: int) -> list[Span]:
    """Return the spans of the chunks of a text of ``count`` tokens.

    Args:
        size: Tokens of a chunk; the last one may have fewer.
        overlap: Tokens that a chunk shares with the one before; less than ``size``.
    """
    step = size - overlap
    # One that would only repeat the end of the one before is none.
    return [Span(at, min(at + size, count)) for at in range(0, max(count - overlap, min(count, 1)), step)]


def window_spans(count: int, *, size: int, overlap: int, seen: int) -> list[Span]:
    """Return the spans that are embedded, for chunks of this size: the chunks themselves where they are seen whole.

    Args:
        seen: Tokens that the embedder sees.
    """
    if size <= seen:
        return chunk_spans(count, size=size, overlap=overlap)
    step = size - overlap
    parts = -(-step // seen)
    # Every chunk begins where a window does.
    edges = [at + part * step // parts for at in range(0, count, step) for part in range(parts)]
    edges = [*(edge for edge in edges if edge < count), count]
    return [Span(first, beyond) for first, beyond in itertools.pairwise(edges)]


def make_chunks(text: Tokenized, spans: Sequence[Span]) -> list[Chunk]:
    """Return the chunks at these spans, without vectors."""
    offsets = text.offsets.tolist()
    return [
        Chunk(
            text=text.text[offsets[span.first] : offsets[span.beyond]],
            start=offsets[span.first],
            end=offsets[span.beyond],
            tokens=span.beyond - span.first,
        )
        for span in spans
    ]


def merge_windows(vectors: Vectors, windows: Sequence[Span], chunks: Sequence[Span]) -> Vectors:
    """Return a vector for each chunk, of length 1: the mean of its windows', those that share less weighing less.

    A window of half the length says less than another, but more than half: measured, the root of what it shares is
    better than that, and both are better than equal weights.

    Args:
        vectors: Of the windows, float32 of shape ``(windows, dimensions)``.
    """
    import numpy as np

    if windows == chunks:
        return vectors
    merged = np.zeros((len(chunks), vectors.shape[1]), np.float32)
    at = 0
    for row, chunk in enumerate(chunks):
        while windows[at].beyond <= chunk.first:
            at += 1
        for number in range(at, len(windows)):
            window = windows[number]
            shared = min(window.beyond, chunk.beyond) - max(window.first, chunk.first)
            if shared <= 0:
                break
            merged[row] += math.sqrt(shared) * vectors[number]
    lengths = np.linalg.norm(merged, axis=1, keepdims=True)
    np.divide(merged, lengths, out=merged, where=lengths > 0)
    return merged
