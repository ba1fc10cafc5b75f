"""Runs that lose their workers, outlive their time, or are interrupted at a bad moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from holdover.engine.objects import Engine
from holdover.errors import BadRequestError, InternalServerError
from holdover.models.catalog import Catalog, Names
from holdover.models.protocol import TextChunk
from holdover.models.scripted import ScriptedModel
from holdover.store.blobs import FolderBlobs
from holdover.store.protocol import Lease, RunChange, RunRow
from holdover.store.sqlite import SQLiteStore
from holdover.wire.assistants import CreateAssistant
from holdover.wire.messages import CreateMessage
from holdover.wire.pages import PageQuery
from holdover.wire.runs import CancelRun, CreateThreadAndRun, SubmitToolOutputs, ToolOutput
from holdover.wire.steps import StepPageQuery
from holdover.wire.threads import CreateThread
from holdover.wire.tools import FunctionDefinition, FunctionTool


class Clock:
    def __init__(self) -> None:
        self.time = 1_000_000.0

    def __call__(self) -> float:
        return self.time


class World:
    """A store with a clock that is set by hand, and an engine on it."""

    def __init__(self, store: SQLiteStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.engine = self.new_engine(ScriptedModel())

    def new_engine(self, model: Any) -> Engine:
        return Engine(
            self.store, Catalog(Names(), lambda target: model, own={"*": model}), FolderBlobs(None), lease_s=10
        )

    async def run(self, script: str) -> dict[str, Any]:
        tools = [FunctionTool(function=FunctionDefinition(name="f"))]
        made = await self.engine.create_assistant(CreateAssistant(model="m", instructions="x", tools=tools))
        thread = CreateThread(messages=[CreateMessage(role="user", content=script)])
        body = CreateThreadAndRun(assistant_id=msgspec.json.decode(made)["id"], thread=thread)
        run = await self.engine.create_thread_and_run(body)
        assert isinstance(run, bytes)
        decoded: dict[str, Any] = msgspec.json.decode(run)
        return decoded

    async def look(self, run: dict[str, Any]) -> dict[str, Any]:
        decoded: dict[str, Any] = msgspec.json.decode(await self.engine.get_run(run["thread_id"], run["id"]))
        return decoded

    async def until(self, run: dict[str, Any], *statuses: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while (seen := await self.look(run))["status"] not in statuses:  # noqa: ASYNC110
                await asyncio.sleep(0)
        return seen

    async def until_said(self, run: dict[str, Any]) -> None:
        async with asyncio.timeout(10):
            while not await self.steps(run):  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def steps(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        return await self.listed(self.engine.list_run_steps(run["thread_id"], run["id"], StepPageQuery()))

    async def listed(self, asked: Any) -> list[dict[str, Any]]:
        data: list[dict[str, Any]] = msgspec.json.decode(await asked)["data"]
        return data

    async def die(self) -> None:
        """Let every driver go without a word, as a process that is killed does."""
        for task in list(self.engine._worker._driving):
            task.cancel()
        await asyncio.gather(*self.engine._worker._driving, return_exceptions=True)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock = Clock()
    store = await SQLiteStore.open(":memory:", clock=clock)
    made = World(store, clock)
    yield made
    await made.die()
    await store.close()


async def sweep(world: World) -> None:
    for run_id in await world.store.list_due_runs(100):
        await world.engine._worker.put_right(run_id)


async def test_a_run_whose_worker_is_gone_is_driven_again_and_leaves_nothing_half_done(world: World) -> None:
    run = await world.run("!say half\n!hang")
    await world.until_said(run)
    await world.die()
    await sweep(world)
    assert (await world.look(run))["status"] == "in_progress", "the lease still holds"
    world.clock.time += 11
    await sweep(world)
    assert (await world.look(run))["status"] == "queued"
    assert await world.steps(run) == []
    assert await world.store.page(
        "message", limit=9, ascending=True, after=None, before=None, owner=run["thread_id"], run_id=run["id"]
    ) == await world.store.page("message", limit=9, ascending=True, after=None, before=None, owner="thread_none")
    world.engine = world.new_engine(ScriptedModel([[TextChunk("whole")]]))
    await world.engine._worker._claim()
    await world.until(run, "completed")
    steps = await world.steps(run)
    assert [step["status"] for step in steps] == ["completed"]


async def test_a_run_that_kills_its_workers_fails_and_frees_its_thread(world: World) -> None:
    run = await world.run("!hang")
    await world.until(run, "in_progress")
    for attempt in range(3):
        await world.die()
        world.clock.time += 11
        await sweep(world)
        if attempt < 2:
            assert (await world.look(run))["status"] == "queued"
            await world.engine._worker._claim()
    seen = await world.look(run)
    assert (seen["status"], seen["last_error"]["code"]) == ("failed", "server_error")
    await world.engine.create_message(run["thread_id"], CreateMessage(role="user", content="Free."))


async def test_a_worker_that_was_frozen_writes_nothing(world: World) -> None:
    """Another took its run while it slept: its epoch is old."""
    run = await world.run("!say a\n!hang")
    await world.until_said(run)

    def take(row: RunRow) -> RunChange:
        return RunChange(status=row.status, document=row.document, expires_at=row.expires_at, lease=Lease("other", 60))

    await world.store.change_run(run["id"], take)
    driver = world.engine._worker._drivers[run["id"]]
    driver.interrupt("expire")
    async with asyncio.timeout(10):
        await world.engine._worker._idle.wait()
    assert (await world.look(run))["status"] == "in_progress", "it is the other's to end"
    row = await world.store.change_run(run["id"], lambda row: None)
    assert row is not None
    assert row.row.worker == "other"


async def test_a_cancelled_run_whose_worker_is_gone_ends_cancelled(world: World) -> None:
    run = await world.run("!hang")
    await world.until(run, "in_progress")
    await world.die()
    await world.engine.cancel_run(run["thread_id"], run["id"], CancelRun())
    assert (await world.look(run))["status"] == "cancelling"
    world.clock.time += 11
    await sweep(world)
    assert (await world.look(run))["status"] == "cancelled"


async def test_a_run_that_waits_too_long_expires_with_its_step(world: World) -> None:
    run = await world.run("!call f {}")
    waiting = await world.until(run, "requires_action")
    world.clock.time += 601
    (call,) = waiting["required_action"]["submit_tool_outputs"]["tool_calls"]
    outputs = SubmitToolOutputs(tool_outputs=[ToolOutput(tool_call_id=call["id"], output="late")])
    with pytest.raises(BadRequestError, match='Runs in status "expired" do not accept tool outputs.'):
        await world.engine.submit_tool_outputs_to_run(run["thread_id"], run["id"], outputs)
    assert (await world.look(run))["status"] == "expired"
    (step,) = await world.steps(run)
    assert step["status"] == "expired"


async def test_outputs_that_are_submitted_twice_at_once_are_taken_once(world: World) -> None:
    run = await world.run("!call f {}")
    waiting = await world.until(run, "requires_action")
    (call,) = waiting["required_action"]["submit_tool_outputs"]["tool_calls"]
    outputs = SubmitToolOutputs(tool_outputs=[ToolOutput(tool_call_id=call["id"], output="once")])
    outcomes = await asyncio.gather(
        *(world.engine.submit_tool_outputs_to_run(run["thread_id"], run["id"], outputs) for _ in range(4)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, bytes) for each in outcomes) == 1
    await world.until(run, "completed")


@pytest.mark.parametrize("when", ["queued", "in_progress", "requires_action"])
async def test_cancelling_races_with_all_and_the_run_ends_once(world: World, when: str) -> None:
    run = await world.run("!call f {}" if when == "requires_action" else "!say a b c")
    if when != "queued":
        await world.until(run, when, "completed")
    outcomes = await asyncio.gather(
        *(world.engine.cancel_run(run["thread_id"], run["id"], CancelRun()) for _ in range(3)), return_exceptions=True
    )
    seen = await world.until(run, "cancelled", "completed")
    taken = sum(isinstance(each, bytes) for each in outcomes)
    assert taken == (1 if seen["status"] == "cancelled" else 0)
    await world.engine.create_message(run["thread_id"], CreateMessage(role="user", content="Free."))


async def test_a_commit_whose_word_is_lost_is_not_made_twice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    change_run = world.store.change_run
    lost: list[str] = []

    async def losing(run_id: str, change: Callable[[RunRow], RunChange | None], **options: Any) -> Any:
        changed = await change_run(run_id, change, **options)
        if changed is not None and changed.change is not None and changed.change.status not in lost:
            lost.append(changed.change.status)
            raise InternalServerError("The reply was lost.")
        return changed

    monkeypatch.setattr(world.store, "change_run", losing)
    run = await world.run("!say a b")
    await world.until(run, "completed")
    async with asyncio.timeout(10):
        await world.engine._worker._idle.wait()
    monkeypatch.undo()
    assert lost == ["in_progress", "completed"]
    steps = await world.steps(run)
    assert [step["status"] for step in steps] == ["completed"]
    assert len(await world.listed(world.engine.list_runs(run["thread_id"], PageQuery()))) == 1


async def test_a_service_that_stops_gives_its_runs_back(world: World) -> None:
    run = await world.run("!say a\n!hang")
    await world.until_said(run)
    await world.engine.stop(0)
    assert (await world.look(run))["status"] == "queued"
    row = await world.store.change_run(run["id"], lambda row: None)
    assert row is not None
    assert (row.row.attempts, row.row.lease_until) == (0, None)
