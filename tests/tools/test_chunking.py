"""Texts are cut into exact chunks of tokens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdover.tools.file_search import chunking, tokens
from holdover.tools.file_search.chunking import Span

TEXTS = st.text(
    alphabet=st.one_of(
        st.sampled_from("ab \n\t.,'ü東京都😀👍🏽\u0301\u200d\r\0"), st.characters(exclude_categories=("Cs",))
    ),
    max_size=400,
)
SIZES = st.integers(2, 300).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size // 2)))


def test_tokens_are_those_of_openai() -> None:
    """Counts that the published encoding is known to give."""
    assert tokens.count("tiktoken is great!") == 6
    assert tokens.count("antidisestablishmentarianism") == 6
    assert tokens.count("お誕生日おめでとう") == 9
    assert tokens.count("") == 0


@given(text=TEXTS)
@settings(max_examples=200, deadline=None)
def test_tokens_cover_the_text(text: str) -> None:
    cut = tokens.tokenize(text)
    offsets = cut.offsets.tolist()
    assert offsets[0] == 0
    assert offsets[-1] == len(text)
    assert offsets == sorted(offsets)
    assert "".join(cut.part(n, n + 1) for n in range(cut.count)) == text


def test_long_texts_are_read_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Größe 東京 😀 word " * 200
    whole = tokens.tokenize(text)
    monkeypatch.setattr(tokens, "PORTION", 7)
    cut = tokens.tokenize(text)
    assert cut.offsets.tolist()[-1] == len(text)
    assert "".join(cut.part(n, n + 1) for n in range(cut.count)) == text
    assert whole.count <= cut.count < 3 * whole.count


@given(text=TEXTS, sizes=SIZES)
@settings(max_examples=200, deadline=None)
def test_a_chunk_is_exactly_its_part_of_the_text(text: str, sizes: tuple[int, int]) -> None:
    size, overlap = sizes
    cut = tokens.tokenize(text)
    spans = chunking.chunk_spans(cut.count, size=size, overlap=overlap)
    chunks = chunking.make_chunks(cut, spans)
    assert all(text[each.start : each.end] == each.text for each in chunks)
    assert all(each.tokens <= size for each in chunks)
    assert {place for each in chunks for place in range(each.start, each.end)} == set(range(len(text)))


@given(count=st.integers(0, 5000), sizes=SIZES)
def test_chunks_cover_all_tokens_and_share_what_they_should(count: int, sizes: tuple[int, int]) -> None:
    size, overlap = sizes
    spans = chunking.chunk_spans(count, size=size, overlap=overlap)
    assert [span.first for span in spans] == [n * (size - overlap) for n in range(len(spans))]
    assert all(span.beyond - span.first == size for span in spans[:-1])
    assert (spans[-1].beyond if spans else 0) == count
    assert all(span.beyond - span.first > 0 for span in spans)
    assert all(span.beyond - span.first > overlap for span in spans[1:])


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, []), (1, [(0, 1)]), (800, [(0, 800)]), (801, [(0, 800), (400, 801)]), (1200, [(0, 800), (400, 1200)])],
)
def test_the_default_sizes(count: int, expected: list[tuple[int, int]]) -> None:
    spans = chunking.chunk_spans(count, size=800, overlap=400)
    assert [(span.first, span.beyond) for span in spans] == expected


@given(count=st.integers(1, 5000), sizes=SIZES, seen=st.integers(16, 400))
def test_the_embedder_sees_every_token_of_every_chunk(count: int, sizes: tuple[int, int], seen: int) -> None:
    size, overlap = sizes
    chunks = chunking.chunk_spans(count, size=size, overlap=overlap)
    windows = chunking.window_spans(count, size=size, overlap=overlap, seen=seen)
    assert all(0 < window.beyond - window.first <= seen for window in windows)
    assert windows[0].first == 0
    assert windows[-1].beyond == count
    assert {span.first for span in chunks} <= {span.first for span in windows}


def test_a_window_serves_two_chunks_with_the_default_sizes() -> None:
    windows = chunking.window_spans(2000, size=800, overlap=400, seen=200)
    assert [(window.first, window.beyond) for window in windows] == [(n, n + 200) for n in range(0, 2000, 200)]


def test_a_chunk_that_is_seen_whole_is_its_own_window() -> None:
    spans = chunking.chunk_spans(500, size=150, overlap=50)
    assert chunking.window_spans(500, size=150, overlap=50, seen=200) == spans
    vectors = np.eye(len(spans), dtype=np.float32)
    assert chunking.merge_windows(vectors, spans, spans) is vectors


def test_a_vector_of_a_chunk_is_the_mean_of_its_windows_by_the_root_of_what_they_share() -> None:
    windows = [Span(0, 200), Span(200, 400), Span(400, 500)]
    merged = chunking.merge_windows(np.eye(3, dtype=np.float32), windows, [Span(0, 400), Span(200, 500)])
    assert merged[0] == pytest.approx(np.array([1, 1, 0]) / np.sqrt(2))
    assert merged[1] == pytest.approx(np.array([0, np.sqrt(2), 1]) / np.sqrt(3))
