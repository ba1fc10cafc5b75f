"""Many streams at once, through the whole service, from a model's endpoint to who listens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from holdover import AsyncClient
from holdover.engine.broadcast import Broadcast, EventStream
from holdover.server import streams
from holdover.server.streams import pour_events
from holdover.service import running
from holdover.wire.events import DONE, PING

STREAMS, TOKENS = 64, 40


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request of a connection with numbered tokens, one write each; the loop has its turn in between."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"content-length: (\d+)", head.lower())[1])  # type: ignore[index]
            name = json.loads(await reader.readexactly(length))["messages"][-1]["content"]
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            for number in range(TOKENS):
                said = {"choices": [{"index": 0, "delta": {"content": f" {name}.{number}"}, "finish_reason": None}]}
                _write(writer, b"data: %b\n\n" % msgspec.json.encode(said))
                await asyncio.sleep(0)
            end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
            _write(writer, b"data: %b\n\ndata: [DONE]\n\n" % msgspec.json.encode(end))
            writer.write(b"0\r\n\r\n")
            await writer.drain()
    writer.close()


def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))


async def test_of_many_streams_each_gets_every_token_in_order(tmp_path: Path) -> None:
    model = await asyncio.start_server(_answer, "127.0.0.1", 0, backlog=STREAMS)
    port = model.sockets[0].getsockname()[1]
    async with model, asyncio.timeout(60):
        opened = contextlib.ExitStack()
        base_url = await asyncio.to_thread(
            opened.enter_context, running(tmp_path / "a.db", model_base_url=f"http://127.0.0.1:{port}/v1")
        )
        try:
            async with AsyncClient(api_key="sk-test", base_url=base_url) as client:
                assistant = await client.create_assistant("m")

                async def hear(name: str) -> tuple[list[str], str]:
                    messages = [{"role": "user", "content": name}]
                    stream = await client.create_thread_and_run(
                        assistant.id, thread={"messages": messages}, stream=True
                    )
                    async with stream:
                        pieces = [text async for text in stream.text_deltas]
                        assert stream.run is not None
                        return pieces, stream.run.status

                heard = await asyncio.gather(*(hear(f"s{number}") for number in range(STREAMS)))
        finally:
            await asyncio.to_thread(opened.close)
    for number, (pieces, status) in enumerate(heard):
        assert "".join(pieces).split() == [f"s{number}.{token}" for token in range(TOKENS)]
        assert status == "completed"


class Outlet:
    """Keeps what is written, and says when it is as much as is wanted."""

    def __init__(self, wanted: int = 0) -> None:
        self.said: list[str | bytes] = []
        self.wanted = wanted
        self.enough = asyncio.Event()
        self.on_room: Callable[[], None] = lambda: None
        self.on_leave: Callable[[], None] = lambda: None

    def open(self) -> None:
        self.said.append("head")

    def write(self, data: bytes) -> bool:
        self.said.append(data)
        if len(self.said) == self.wanted:
            self.enough.set()
        return True

    def end(self) -> None:
        self.said.append("end")


async def test_an_answer_begins_though_its_stream_has_nothing_to_say_yet() -> None:
    """Who attaches again behind the last event is answered now, not when the run goes on."""
    channel, outlet = Broadcast().open("run_a"), Outlet()
    pouring = asyncio.ensure_future(pour_events(EventStream(channel.listen()), outlet))
    await asyncio.sleep(0)
    assert outlet.said == ["head"]
    channel.publish(b"event", 1)
    channel.end_leg()
    await pouring
    assert outlet.said == ["head", b"event", DONE, "end"]


async def test_who_hangs_up_ends_the_listening_and_nothing_else() -> None:
    channel, outlet = Broadcast().open("run_a"), Outlet()
    pouring = asyncio.ensure_future(pour_events(EventStream(channel.listen()), outlet))
    await asyncio.sleep(0)
    outlet.on_leave()
    await pouring
    channel.publish(b"event", 1)
    assert outlet.said == ["head", "end"]


async def test_a_silent_stream_says_now_and_then_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PING_S", 0.002)
    channel, outlet = Broadcast().open("run_a"), Outlet(wanted=4)
    pouring = asyncio.ensure_future(pour_events(EventStream(channel.listen()), outlet))
    await outlet.enough.wait()
    assert outlet.said[:4] == ["head", PING, PING, PING]
    assert channel.next_id == 1  # a comment is no event
    channel.end_leg()
    await pouring


async def test_a_stream_is_silent_only_if_nothing_was_sent_since_it_was_asked_last() -> None:
    channel = Broadcast().open("run_a")
    listener = channel.listen()
    events = EventStream(listener)
    channel.publish(b"event", 1)
    events.break_silence(PING)
    assert listener._waiting == [b"event"]
    events.break_silence(PING)
    assert listener._waiting == [b"event", PING]
