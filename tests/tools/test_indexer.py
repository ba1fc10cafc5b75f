"""Files become chunks that are exact, with vectors, or a reason."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from tests.tools import documents
from tests.tools.embedders import DIMENSIONS, WordEmbedder

from holdover.tools.file_search import failures, indexer
from holdover.tools.file_search.indexer import FileIndexer
from holdover.tools.file_search.parsing import Parsers
from holdover.tools.file_search.protocol import Unreadable


@pytest.fixture
async def parsers() -> AsyncIterator[Parsers]:
    made = Parsers(1)
    yield made
    await made.close()


async def test_a_file_becomes_exact_chunks_with_vectors_of_length_one(parsers: Parsers, tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(documents.docx(*(f"Paragraph {n} tells of ships and harbours." for n in range(300))))
    embedder = WordEmbedder()
    made = FileIndexer(parsers, embedder)
    indexed = await made.index(str(path), "a.docx", max_chunk_size_tokens=800, chunk_overlap_tokens=400)
    assert made.identity == embedder.identity
    assert len(indexed.chunks) > 3
    for chunk in indexed.chunks:
        assert indexed.text[chunk.start : chunk.end] == chunk.text
        vector = np.frombuffer(chunk.vector, "<f2").astype(np.float32)
        assert vector.shape == (DIMENSIONS,)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=0.01)
    assert "".join(embedder.embedded) == indexed.text
    assert indexed.usage_bytes == sum(len(chunk.text.encode()) + 2 * DIMENSIONS for chunk in indexed.chunks)


async def test_without_an_embedder_there_are_words_only(parsers: Parsers, tmp_path: Path) -> None:
    (tmp_path / "blob").write_text("Some text.")
    made = FileIndexer(parsers, None)
    indexed = await made.index(str(tmp_path / "blob"), "a.txt", max_chunk_size_tokens=100, chunk_overlap_tokens=0)
    assert made.identity == "none"
    assert [(chunk.text, chunk.tokens, chunk.vector) for chunk in indexed.chunks] == [("Some text.", 3, b"")]


async def test_an_embedder_that_fails_is_no_fault_of_the_file(parsers: Parsers, tmp_path: Path) -> None:
    (tmp_path / "blob").write_text("Some text.")
    embedder = WordEmbedder()
    embedder.fails = True
    with pytest.raises(Unreadable) as raised:
        await FileIndexer(parsers, embedder).index(str(tmp_path / "blob"), "a.txt")
    assert (raised.value.code, raised.value.message) == (
        "server_error",
        "The embedder cannot be used: it was told so.",
    )


async def test_more_tokens_than_are_indexed_are_too_many(
    parsers: Parsers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "blob").write_text("Some text that is longer.")
    monkeypatch.setattr(indexer, "MAX_TOKENS", 3)
    with pytest.raises(Unreadable) as raised:
        await FileIndexer(parsers, None).index(str(tmp_path / "blob"), "a.txt")
    assert raised.value.message == failures.TOO_LARGE.message
