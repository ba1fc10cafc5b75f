"""Server-sent events, wherever the network cut them."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdover.wire import sse
from holdover.wire.events import DONE, PING, frame
from holdover.wire.sse import Parser, ServerEvent, TooLong

from .strategies import quick

lines = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\n"), max_size=8)
names = st.from_regex(r"\A[a-z.]{0,9}\Z")


def parsed(*parts: bytes) -> list[ServerEvent]:
    parser = Parser()
    found = [event for part in parts for event in parser.feed(part)]
    return [*found, *parser.end()]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(edges)]


@quick
@given(told=st.lists(st.tuples(names, lines)), places=st.lists(st.integers(0, 10_000)))
def test_frames_give_back_what_they_were_made_of_wherever_they_are_cut(
    told: list[tuple[str, str]], places: list[int]
) -> None:
    data = b"".join(frame(name, text.encode()) for name, text in told)
    assert parsed(*cut(data, places)) == [ServerEvent(name, text.encode()) for name, text in told]


@st.composite
def blocks(draw: st.DrawFn) -> tuple[str, ServerEvent | None]:
    """Return the lines of a block as any service may send them, and the event that they are."""
    name, data, id = draw(names), draw(st.lists(lines, max_size=3)), draw(st.none() | lines)
    told = [f"data:{draw(st.sampled_from(['', ' ']) if line[:1] != ' ' else st.just(' '))}{line}" for line in data]
    told += [f"event: {name}"] if name else []
    told += [f"id: {id}"] if id is not None else []
    told += [f": {draw(lines)}", "retry: 3", f"unknown{draw(st.sampled_from(['', ':x']))}"]
    event = ServerEvent(name, "\n".join(data).encode(), id) if data else None
    # The order of data lines is told; all else may stand anywhere.
    order = sorted(
        draw(st.permutations(range(len(told)))), key=lambda at: at if at < len(data) else draw(st.floats(0, 9))
    )
    return "\n".join(told[at] for at in order), event


@quick
@given(
    told=st.lists(blocks(), min_size=1),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    last=st.booleans(),
    places=st.lists(st.integers(0, 10_000)),
)
def test_what_the_standard_allows_is_read_wherever_it_is_cut(
    told: list[tuple[str, ServerEvent | None]], end: str, last: bool, places: list[int]
) -> None:
    text = "\n\n".join(lines for lines, _ in told) + ("\n\n" if last else "")
    data = text.replace("\n", end).encode()
    assert parsed(*cut(data, places)) == [event for _, event in told if event is not None]


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"", []),
        (b"\n\n\n\n", []),
        (PING, []),
        (DONE, [ServerEvent("done", b"[DONE]")]),
        (b"data: 1\n\n\n\nevent: b\ndata: 2\n\n", [ServerEvent("", b"1"), ServerEvent("b", b"2")]),
        (b"event: a\ndata: 1\nid: 7\n\n", [ServerEvent("a", b"1", "7")]),
        (b"event: a\ndata: \n\n", [ServerEvent("a", b"")]),
        (b"event: only a name\n\n", []),
        (b": ping\ndata: 1\n\n", [ServerEvent("", b"1")]),
        (b"data: no end", [ServerEvent("", b"no end")]),
        (b"event: \xff\ndata: \xff\n\n", [ServerEvent("�", b"\xff")]),
    ],
    ids=lambda value: repr(value) if isinstance(value, bytes) else "",
)
def test_examples(data: bytes, events: list[ServerEvent]) -> None:
    assert parsed(data) == events
    assert parsed(*(data[at : at + 1] for at in range(len(data)))) == events


def test_an_event_comes_as_soon_as_it_is_whole() -> None:
    parser = Parser()
    assert parser.feed(b"event: a\nda") == []
    assert parser.feed(b"ta: 1\n\nevent: b\n") == [ServerEvent("a", b"1")]
    assert parser.feed(b"data: 2\r\n\r") == []
    assert parser.feed(b"\n") == [ServerEvent("b", b"2")]
    assert parser.end() == []


def test_an_event_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LIMIT_BYTES", 100)
    for piece in (b"x" * 30, b"x\n" * 15):
        parser = Parser()
        with pytest.raises(TooLong, match=re.escape("100 bytes")):  # noqa: PT012
            for _ in range(5):
                parser.feed(b"data: " + piece)


def test_a_long_event_in_many_pieces_takes_no_longer_than_in_few() -> None:
    """Joined at each piece, eight megabytes would be copied four thousand times."""
    parser = Parser()
    text = b"x" * 2048
    assert parser.feed(b"data: ") == []
    assert all(parser.feed(text) == [] for _ in range(4096))
    (event,) = parser.feed(b"\n\n")
    assert len(event.data) == 2048 * 4096
