"""Attaching to a run's events: from wherever one left off, no event is missing, none comes twice."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from holdover.engine import broadcast
from holdover.engine.broadcast import Broadcast, Channel
from holdover.engine.objects import Engine, EventStream, RetryKey
from holdover.errors import BadRequestError, NotFoundError
from holdover.models.catalog import Catalog, Names
from holdover.models.protocol import CallChunk, Chunk, ModelRequest, TextChunk, ToolTurn
from holdover.store.blobs import FolderBlobs
from holdover.store.sqlite import SQLiteStore
from holdover.wire.assistants import CreateAssistant
from holdover.wire.messages import CreateMessage
from holdover.wire.runs import CreateThreadAndRun, RunEventsQuery, SubmitToolOutputs, ToolOutput
from holdover.wire.threads import CreateThread
from holdover.wire.tools import FunctionDefinition, FunctionTool


class Gated:
    """A model that says a word each time it is let; asked with a question mark, it calls a function first."""

    context_tokens = 100_000

    def __init__(self) -> None:
        self.gate = asyncio.Semaphore(0)
        self.words = ["One", "two", "three"]

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    async def answer(self, request: ModelRequest) -> AsyncIterator[Sequence[Chunk]]:
        if request.functions and not any(isinstance(turn, ToolTurn) for turn in request.turns):
            yield (CallChunk(0, name="f"),)
            yield (CallChunk(0, arguments="{}"),)
            return
        for word in self.words:
            await self.gate.acquire()
            yield (TextChunk(word),)

    def say(self, words: int = 1) -> None:
        for _ in range(words):
            self.gate.release()


@pytest.fixture
def model() -> Gated:
    return Gated()


@pytest.fixture
async def store() -> AsyncIterator[SQLiteStore]:
    opened = await SQLiteStore.open(":memory:")
    yield opened
    await opened.close()


def new_engine(store: SQLiteStore, model: Gated) -> Engine:
    models = Catalog(Names(), lambda target: model, own={"*": model})  # type: ignore[dict-item]
    return Engine(store, models, FolderBlobs(None))


@pytest.fixture
async def engine(store: SQLiteStore, model: Gated) -> AsyncIterator[Engine]:
    made = new_engine(store, model)
    yield made
    await made.stop()


async def begin(engine: Engine, *, calls: bool = False) -> tuple[str, str]:
    """Begin a run, and return the ids of its thread and its own."""
    tools: Any = [FunctionTool(function=FunctionDefinition(name="f"))] if calls else []
    made = await engine.create_assistant(CreateAssistant(model="m", tools=tools))
    thread = CreateThread(messages=[CreateMessage(role="user", content="Count.")])
    body = CreateThreadAndRun(assistant_id=msgspec.json.decode(made)["id"], thread=thread)
    run = await engine.create_thread_and_run(body)
    assert isinstance(run, bytes)
    decoded = msgspec.json.decode(run)
    return decoded["thread_id"], decoded["id"]


async def attach(engine: Engine, run: tuple[str, str], last_event_id: int | None = None) -> EventStream:
    query = RunEventsQuery() if last_event_id is None else RunEventsQuery(last_event_id=last_event_id)
    return await engine.stream_run(*run, query)


FRAME = re.compile(rb"(?:id: (\d+)\n)?event: (\S+)\ndata: ([^\n]*)\n\n")


def frames(data: bytes) -> list[tuple[int | None, str]]:
    """Return the numbers and names of frames; all of the data must be frames."""
    found = list(FRAME.finditer(data))
    assert b"".join(each[0] for each in found) == data
    return [(int(each[1]) if each[1] else None, each[2].decode()) for each in found]


async def all_of(stream: EventStream) -> list[tuple[int | None, str]]:
    async with asyncio.timeout(10):
        return frames(b"".join([each async for each in stream]))


async def until(stream: EventStream, name: str, times: int = 1) -> list[tuple[int | None, str]]:
    """Read up to an event of this name."""
    heard: list[tuple[int | None, str]] = []
    async with asyncio.timeout(10):
        while [each[1] for each in heard].count(name) < times:
            heard += frames(await anext(stream))
    return heard


WHOLE = [
    "thread.created",
    "thread.run.created",
    "thread.run.queued",
    "thread.run.in_progress",
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.delta",
    "thread.message.delta",
    "thread.message.completed",
    "thread.run.step.completed",
    "thread.run.completed",
]


def numbered(names: Sequence[str], first: int = 1) -> list[tuple[int | None, str]]:
    return [*enumerate(names, first), (None, "done")]  # type: ignore[list-item]


async def test_who_attaches_before_the_start_hears_all(engine: Engine, model: Gated) -> None:
    stream = await attach(engine, await begin(engine))
    assert stream.after_id == 0
    model.say(3)
    assert await all_of(stream) == numbered(WHOLE)


async def test_who_attaches_in_the_middle_hears_what_was_and_what_comes(engine: Engine, model: Gated) -> None:
    run = await begin(engine)
    first = await attach(engine, run)
    model.say(2)
    await until(first, "thread.message.delta", 2)
    second = await attach(engine, run)
    model.say()
    assert await all_of(second) == numbered(WHOLE)


@pytest.mark.parametrize("heard", range(len(WHOLE) + 1))
async def test_from_wherever_one_left_off_nothing_is_missing_and_nothing_comes_twice(
    engine: Engine, model: Gated, heard: int
) -> None:
    run = await begin(engine)
    first = await attach(engine, run)
    model.say(2)
    await until(first, "thread.message.delta", 2)
    live = await attach(engine, run, heard) if heard <= 10 else None
    model.say()
    await all_of(first)
    if live is not None:
        assert live.after_id == heard
        assert await all_of(live) == numbered(WHOLE[heard:], heard + 1)
    assert await all_of(await attach(engine, run, heard)) == numbered(WHOLE[heard:], heard + 1)


async def test_a_run_that_waits_for_outputs_ends_each_leg_and_counts_on(engine: Engine, model: Gated) -> None:
    run = await begin(engine, calls=True)
    asked = await all_of(await attach(engine, run))
    assert [name for _, name in asked[-2:]] == ["thread.run.requires_action", "done"]
    last = len(asked) - 1
    assert await all_of(await attach(engine, run, last)) == [(None, "done")], "while it waits nothing comes"
    call_id = msgspec.json.decode(await engine.get_run(*run))["required_action"]["submit_tool_outputs"]["tool_calls"][0]
    await engine.submit_tool_outputs_to_run(
        *run, SubmitToolOutputs(tool_outputs=[ToolOutput(tool_call_id=call_id["id"], output="1")])
    )
    model.say(3)
    second = await all_of(await attach(engine, run, last))
    assert [number for number, _ in second] == [*range(last + 1, last + len(second)), None]
    assert [name for _, name in second][:3] == [
        "thread.run.step.completed",
        "thread.run.queued",
        "thread.run.in_progress",
    ]
    whole = await all_of(await attach(engine, run))
    assert whole == [*asked[:-1], *second], "the legs follow each other, without a done between them"


async def test_the_events_of_a_stream_that_was_asked_for_bear_no_numbers_but_can_be_counted(
    engine: Engine, model: Gated
) -> None:
    run = await begin(engine)
    assistant = msgspec.json.decode(await engine.get_run(*run))["assistant_id"]
    thread = CreateThread(messages=[CreateMessage(role="user", content="Count.")])
    body = CreateThreadAndRun(assistant_id=assistant, thread=thread, stream=True)
    stream = await engine.create_thread_and_run(body)
    assert isinstance(stream, EventStream)
    assert stream.after_id == 0
    model.say(6)
    assert await all_of(stream) == [*((None, name) for name in WHOLE), (None, "done")]


async def test_a_run_that_ended_long_ago_is_told_from_what_is_stored(store: SQLiteStore, model: Gated) -> None:
    engine = new_engine(store, model)
    run = await begin(engine)
    model.say(3)
    await all_of(await attach(engine, run))
    await engine.stop()
    other = new_engine(store, model)
    stream = await attach(other, run)
    assert stream.after_id is None, "these events have no numbers to attach with"
    assert await all_of(stream) == [
        (None, "thread.run.created"),
        (None, "thread.run.step.created"),
        (None, "thread.message.created"),
        (None, "thread.message.completed"),
        (None, "thread.run.step.completed"),
        (None, "thread.run.completed"),
        (None, "done"),
    ]
    with pytest.raises(BadRequestError, match="not kept here any more") as caught:
        await attach(other, run, 5)
    assert (caught.value.param, caught.value.code) == ("Last-Event-ID", "stream_not_here")


async def test_a_run_that_waits_elsewhere_is_told_from_what_is_stored(store: SQLiteStore, model: Gated) -> None:
    engine = new_engine(store, model)
    run = await begin(engine, calls=True)
    await all_of(await attach(engine, run))
    await engine.stop()
    told = await all_of(await attach(new_engine(store, model), run))
    assert [name for _, name in told] == [
        "thread.run.created",
        "thread.run.step.created",
        "thread.run.requires_action",
        "done",
    ]


async def test_a_run_that_another_process_drives_is_refused_clearly(store: SQLiteStore, model: Gated) -> None:
    engine = new_engine(store, model)
    run = await begin(engine)
    with pytest.raises(BadRequestError, match="another process drives it") as caught:
        await attach(new_engine(store, model), run)
    assert (caught.value.status, caught.value.code) == (400, "stream_not_here")
    model.say(3)
    await engine.stop(10)


async def test_a_leg_that_was_driven_elsewhere_is_not_passed_over(store: SQLiteStore, model: Gated) -> None:
    """A process that drove the first leg and now drives the third does not count on as if there were no second."""
    one, channel = Broadcast(), None
    channel = one.open("run_1", is_new=True)
    channel.follow(0)
    one.rest("run_1")
    one.open("run_1").follow(1)
    assert channel.is_whole
    one.rest("run_1")
    one.open("run_1").follow(4)
    assert not channel.is_whole


@pytest.mark.parametrize("ends", [True, False], ids=["ended", "under way before"])
async def test_a_leg_that_another_process_drove_is_not_left_out(store: SQLiteStore, model: Gated, ends: bool) -> None:
    here, elsewhere = new_engine(store, model), new_engine(store, model)
    run = await begin(here, calls=True)
    asked = await all_of(await attach(here, run))
    waiting = msgspec.json.decode(await here.get_run(*run))["required_action"]["submit_tool_outputs"]["tool_calls"]
    body = SubmitToolOutputs(tool_outputs=[ToolOutput(tool_call_id=waiting[0]["id"], output="1")], stream=True)
    stream = await elsewhere.submit_tool_outputs_to_run(*run, body)
    assert isinstance(stream, EventStream)
    assert stream.after_id is None
    if not ends:
        await until(stream, "thread.run.in_progress")
        with pytest.raises(BadRequestError, match="another process drives it"):
            await attach(here, run, len(asked) - 1)
    model.say(3)
    await all_of(stream)
    with pytest.raises(BadRequestError, match="not kept here any more"):
        await attach(here, run, len(asked) - 1)
    told = [name for _, name in await all_of(await attach(here, run))]
    assert "thread.run.completed" in told
    assert "thread.run.requires_action" not in told


async def test_attaching_while_outputs_are_submitted_takes_nothing_from_the_run(
    store: SQLiteStore, engine: Engine, model: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written is seen a moment before it is told of here."""
    run = await begin(engine, calls=True)
    stream = await attach(engine, run)
    await all_of(stream)
    call_id = msgspec.json.decode(await engine.get_run(*run))["required_action"]["submit_tool_outputs"]["tool_calls"][0]
    outputs = SubmitToolOutputs(stream=True, tool_outputs=[ToolOutput(tool_call_id=call_id["id"], output="1")])
    change_run, written, go_on = store.change_run, asyncio.Event(), asyncio.Event()

    async def slow(run_id: str, change: Any, **options: Any) -> Any:
        changed = await change_run(run_id, change, **options)
        written.set()
        await go_on.wait()
        return changed

    monkeypatch.setattr(store, "change_run", slow)
    submitting = asyncio.create_task(engine.submit_tool_outputs_to_run(*run, outputs))
    await written.wait()
    with pytest.raises(BadRequestError, match="cannot be had here"):
        await attach(engine, run)
    monkeypatch.undo()
    attaching = asyncio.create_task(attach(engine, run))
    go_on.set()
    submitted = await submitting
    assert isinstance(submitted, EventStream)
    assert submitted.after_id is not None
    attached = await attaching
    model.say(3)
    await all_of(submitted)
    assert [number for number, _ in (await all_of(attached))[:3]] == [1, 2, 3]


async def test_an_id_that_has_not_happened_is_refused(engine: Engine, model: Gated) -> None:
    run = await begin(engine)
    with pytest.raises(BadRequestError, match="Invalid 'Last-Event-ID': 99") as caught:
        await attach(engine, run, 99)
    assert caught.value.code == "invalid_value"


async def test_a_thread_that_is_deleted_ends_the_streams_of_its_run(engine: Engine, model: Gated) -> None:
    run = await begin(engine)
    stream = await attach(engine, run)
    await until(stream, "thread.run.in_progress")
    await engine.delete_thread(run[0])
    assert [name for _, name in await all_of(stream)][-2:] == ["thread.run.cancelled", "done"]
    with pytest.raises(NotFoundError):
        await attach(engine, run)


async def test_of_a_long_run_the_newest_events_are_kept(
    engine: Engine, model: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcast, "LOG_LIMIT_BYTES", 2000)
    model.words = ["word"] * 50
    run = await begin(engine)
    first = await attach(engine, run)
    model.say(40)
    heard = await until(first, "thread.message.delta", 40)
    newest = heard[-1][0]
    assert newest is not None
    with pytest.raises(BadRequestError) as caught:
        await attach(engine, run)
    assert caught.value.code == "stream_not_here"
    second = await attach(engine, run, newest - 2)
    model.say(10)
    rest = await all_of(second)
    assert [number for number, _ in rest] == [*range(newest - 1, newest - 1 + len(rest) - 1), None]
    whole = await all_of(await attach(engine, run))
    assert "thread.message.delta" not in [name for _, name in whole], "its end is told from what is stored"


async def test_a_streaming_request_that_is_repeated_is_answered_with_its_events(engine: Engine, model: Gated) -> None:
    run = await begin(engine)
    assistant = msgspec.json.decode(await engine.get_run(*run))["assistant_id"]
    thread = CreateThread(messages=[CreateMessage(role="user", content="Count.")])
    body = CreateThreadAndRun(assistant_id=assistant, thread=thread, stream=True)
    heard = []
    for _ in range(2):
        stream = await engine.create_thread_and_run(body, RetryKey("key", b"content"))
        assert isinstance(stream, EventStream)
        model.say(6)
        heard.append(await all_of(stream))
    assert heard[0] == heard[1] == [*((None, name) for name in WHOLE), (None, "done")]


async def test_outputs_that_are_submitted_again_are_answered_with_the_events_since(
    engine: Engine, model: Gated
) -> None:
    run = await begin(engine, calls=True)
    await all_of(await attach(engine, run))
    action = msgspec.json.decode(await engine.get_run(*run))["required_action"]
    call_id = action["submit_tool_outputs"]["tool_calls"][0]["id"]
    body = SubmitToolOutputs(tool_outputs=[ToolOutput(tool_call_id=call_id, output="1")], stream=True)
    heard = []
    for _ in range(2):
        stream = await engine.submit_tool_outputs_to_run(*run, body, RetryKey("key", b"content"))
        assert isinstance(stream, EventStream)
        model.say(3)
        heard.append(await all_of(stream))
    assert heard[0] == heard[1]
    assert heard[0][0] == (None, "thread.run.step.completed")


async def test_a_listener_that_leaves_takes_nothing_from_the_others(engine: Engine, model: Gated) -> None:
    run = await begin(engine)
    leaves, stays = await attach(engine, run), await attach(engine, run)
    await until(leaves, "thread.run.in_progress")
    leaves.close()
    model.say(3)
    assert await all_of(stays) == numbered(WHOLE)


# -------------------------------------------------------------------------------------------------- channels


@pytest.fixture
def channel() -> Channel:
    return Channel(is_whole=True)


def test_what_is_kept_of_a_channel_is_bounded_and_keeps_its_numbers(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcast, "LOG_LIMIT_BYTES", 100)
    for number in range(1, 101):
        channel.publish(b"event: thread.x\ndata: %d\n\n" % number, 1)
        assert channel.log_bytes <= 100
        assert channel.replay(number) == []
        for after in range(channel.first_id - 1, number):
            kept = channel.replay(after)
            assert kept == [b"event: thread.x\ndata: %d\n\n" % each for each in range(after + 1, number + 1)]
    assert channel.replay(channel.first_id - 2) is None
    assert channel.replay(101) is None


async def test_runs_that_rest_are_forgotten_in_time_and_beyond_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "KEPT_LIMIT_BYTES", 1000)
    kept = Broadcast()
    for number in range(100):
        run_id = f"run_{number}"
        kept.open(run_id).publish(b"event: thread.x\ndata: 12345\n\n", 1)
        (kept.rest if number % 2 else kept.end)(run_id)
    assert kept.find("run_0") is None
    assert kept.find("run_99") is not None
    assert sum(kept.find(f"run_{number}") is not None for number in range(100)) <= 1000 // 29
    monkeypatch.setattr(broadcast, "KEPT_S", -1.0)
    monkeypatch.setattr(broadcast, "WAITING_S", -1.0)
    kept.open("run_new").publish(b"event: thread.x\ndata: 1\n\n", 1)
    kept.end("run_new")
    assert kept.find("run_99") is None
    assert kept.find("run_new") is None
    assert kept._kept_bytes == 0


async def test_a_run_that_goes_on_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Broadcast()
    channel = kept.open("run_1", is_new=True)
    channel.publish(b"event: thread.x\ndata: 1\n\n", 1)
    kept.rest("run_1")
    assert kept.open("run_1") is channel
    monkeypatch.setattr(broadcast, "WAITING_S", -1.0)
    kept.open("run_2")
    kept.end("run_2")
    assert kept.find("run_1") is channel
    assert kept._kept_bytes == 0
