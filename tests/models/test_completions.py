"""Pieces of an answer that are not read one by one: what they are taken for must be what they say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdover.models.compatible import CompatibleModel
from holdover.models.completions import EAGER, SELDOM, Likeness, Reader
from holdover.models.protocol import Chunk, FinishChunk, ModelRequest, TextChunk, TextInput, UserTurn
from holdover.models.upstream import Upstream
from holdover.wire.sse import Parser

Write = Callable[[Any], bytes]


def event(text: str, write: Write = msgspec.json.encode, **others: Any) -> bytes:
    """Return an event that carries a text on, with other members beside it."""
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
    return b"data: %b\n\n" % write({"id": "chatcmpl-1", "choices": [choice], **others})


def with_blanks(data: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(data), indent=0)


def read(data: bytes) -> list[Chunk]:
    (only,) = Parser().feed(data)
    return Reader().take(only.data)


def learnt_from(data: bytes, text: str) -> Likeness:
    likeness = Likeness()
    likeness.learn(data, text)
    return likeness


@pytest.mark.parametrize("write", [msgspec.json.encode, with_blanks])
@pytest.mark.parametrize("text", ["Two", " two", "content", "é", "日本", "finish_reason", "null", "'", "\x7f", "%b"])
def test_what_is_like_the_one_learnt_from_need_not_be_read(write: Write, text: str) -> None:
    for first in ("One", "content", "id"):
        assert learnt_from(event(first, write), first).text(event(text, write)) == text


@given(st.lists(st.text(min_size=1), min_size=2, max_size=20), st.sampled_from([msgspec.json.encode, with_blanks]))
def test_a_text_is_what_reading_it_would_give(texts: list[str], write: Write) -> None:
    likeness = Likeness()
    for text in texts:
        data = event(text, write)
        taken = likeness.text(data)
        if taken is None:
            likeness.learn(data, text)
        else:
            assert [TextChunk(taken)] == read(data)


@pytest.mark.parametrize(
    "other",
    [
        event('a "quoted" one'),
        event("a line\nand another"),
        event("back\\slash"),
        event("Two", created=2),
        event("Two", usage={"prompt_tokens": 1, "completion_tokens": 2}),
        event("Two")[:-2],
        event("Two") + event("Three"),
        event("One").replace(b'"One"', b'"Two","refusal":"No"'),
        event("One").replace(b'"One"', b'"Two\n"'),
        event("One").replace(b'"One"', b'"\xff"'),
        event("One").replace(b'"One"', b'""'),
        event("One").replace(b'"One"', b'"'),
        b"data: [DONE]\n\n",
        b"",
    ],
)
def test_what_is_not_like_it_has_to_be_read(other: bytes) -> None:
    likeness = learnt_from(event("One"), "One")
    assert likeness.text(other) is None
    assert likeness.text(event("Two")) == "Two"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (event('"'), '"'),  # it is not written as it is
        (event("One").replace(b"One", b"O\\u006ee"), "One"),
        (event("One") + event("Two"), "One"),
        (event("One")[:-1], "One"),
        (event("One").replace(b"data:", b"data: 1\ndata:"), "One"),
        (b'data: {"content":"One","choices":[{"delta":{"content":"\\u004fne"}}]}\n\n', "One"),
        (b'data: {"choices":[{"delta":{"content":"One"}}],"error":{"content":"One"}}\n\n', "One"),
        (event("stop").replace(b'"finish_reason":null', b'"finish_reason":"stop"'), "stop"),
        (event("One"), "Two"),
        *(
            (data % {b"known": known}, text)
            for known in (b"another text", b"a third one")
            for data, text in (
                (b'data: {"content":"%(known)b","choices":[{"delta":{"content":"%(known)b"}}]}\n\n', known.decode()),
                (b'data: {"choices":[{"delta":{"content":"%(known)b","content":"%(known)b"}}]}\n\n', known.decode()),
                (b'data: {"choices":[{"delta":{"content":"\\u0061%(known)b","content":"content"}}]}\n\n', "content"),
            )
        ),
        (b"", "One"),
        (b"One", ""),
    ],
)
def test_what_says_more_than_a_text_teaches_nothing(data: bytes, text: str) -> None:
    assert learnt_from(data, text).text(event("Two")) is None


def test_a_text_that_stands_elsewhere_too_is_taken_from_where_it_is_said() -> None:
    data = b'data: {"content":"One","choices":[{"delta":{"content":"One","x":"One"}}]}\n\n'
    taken = learnt_from(data, "One").text(data.replace(b'"One","x"', b'"Two","x"'))
    assert taken in ("Two", None)
    assert learnt_from(data, "One").text(data.replace(b'"One","choices"', b'"Two","choices"')) is None


def test_what_changes_now_and_then_is_learnt_again() -> None:
    likeness = Likeness()
    taken = []
    for created in range(10):
        for _ in range(2 * SELDOM):
            data = event("One", created=created)
            taken.append(likeness.text(data))
            if taken[-1] is None:
                likeness.learn(data, "One")
    assert taken.count("One") > len(taken) / 3
    assert taken[1:EAGER] == ["One"] * (EAGER - 1)


def test_padding_that_is_another_in_each_event_is_seldom_learnt_from(monkeypatch: pytest.MonkeyPatch) -> None:
    fed = []
    feed = Parser.feed
    monkeypatch.setattr(Parser, "feed", lambda self, data: fed.append(data) or feed(self, data))
    likeness = Likeness()
    for number in range(10 * SELDOM):
        data = event("One", obfuscation=f"padding {number}")
        assert likeness.text(data) is None
        likeness.learn(data, "One")
    assert len(fed) == 2 * (EAGER + 10)


class Reads:
    """An upstream whose answer comes in these reads."""

    status = 200
    headers: Mapping[str, str] = MappingProxyType({"content-type": "text/event-stream"})
    hop = ""

    def __init__(self, reads: list[bytes]) -> None:
        self._reads = reads

    async def ask(self, url: str, **request: Any) -> Reads:
        return self

    async def read(self, timeout_s: float | None = None) -> bytes:
        return b""

    async def pour(self, sink: Callable[[bytes], bool]) -> bool:
        for number, data in enumerate(self._reads, 1):
            if not sink(data):
                del self._reads[:number]
                return True
        self._reads.clear()
        return False

    async def close(self) -> None:
        pass


def chunks_of(reads: list[bytes]) -> list[Chunk]:
    model = CompatibleModel(cast(Upstream, Reads(reads)), base_url="http://upstream/v1", model="m")

    async def gather() -> list[Chunk]:
        asked = ModelRequest(model="m", turns=[UserTurn([TextInput("Hello.")])])
        return [chunk async for batch in model.answer(asked) for chunk in batch]

    return asyncio.run(gather())


@given(st.lists(st.text(min_size=1), min_size=1, max_size=20), st.lists(st.integers(0, 400), max_size=4))
def test_however_an_answer_is_cut_into_reads_its_text_is_the_same(texts: list[str], cuts: list[int]) -> None:
    end = b'data: {"choices":[{"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    reads = [*map(event, texts), end]
    expected: list[Chunk] = [*map(TextChunk, texts), FinishChunk("stop")]
    assert chunks_of([*reads]) == expected
    for cut in cuts:  # the rest of one event comes with the next one
        place = cut % (len(reads) - 1) if len(reads) > 1 else 0
        reads[place : place + 2] = [reads[place][:cut], reads[place][cut:] + b"".join(reads[place + 1 : place + 2])]
    assert chunks_of(reads) == expected


def test_what_looks_like_an_event_inside_of_another_is_a_part_of_it() -> None:
    one, two = event("One"), event("Two")
    comment = b": a comment, then: "
    assert chunks_of([one, comment, two, two, b"data: [DONE]\n\n"]) == [TextChunk("One"), TextChunk("Two")]
