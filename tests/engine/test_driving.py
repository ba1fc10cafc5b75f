"""Runs that lose their workers, outlive their time, or are interrupted at a bad moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from holdover.engine.core import RetryKey
from holdover.errors import BadRequestError, InternalServerError
from holdover.models.protocol import CallChunk, FinishChunk, ModelRequest, TextChunk
from holdover.models.scripted import ScriptedModel
from holdover.store.protocol import Lease, RunChange, RunRow
from holdover.wire.messages import CreateMessage
from holdover.wire.runs import CancelRun

from .conftest import World


async def test_a_run_whose_worker_is_gone_is_driven_again_and_leaves_nothing_half_done(world: World) -> None:
    run = await world.run("!say half\n!hang")
    await world.until_said(run)
    await world.die()
    await world.sweep()
    assert (await world.look(run))["status"] == "in_progress", "the lease still holds"
    await world.pass_time(11)
    await world.sweep()
    assert (await world.look(run))["status"] == "queued"
    assert await world.steps(run) == []
    assert await world.said(run) == []
    await world.claim(await world.other_engine(ScriptedModel([[TextChunk("whole")]])))
    await world.until(run, "completed")
    steps = await world.steps(run)
    assert [step["status"] for step in steps] == ["completed"]


@pytest.mark.parametrize("script", ["!hang", "!say something, then kill\n!hang", "!say x\n!call f {}\n!hang"])
async def test_a_run_that_kills_its_workers_fails_and_frees_its_thread(world: World, script: str) -> None:
    """Also one that gets on a little each time, before it kills again."""
    run = await world.run(script)
    for attempt in range(3):
        await world.until(run, "in_progress")
        while len(await world.steps(run)) < script.count("!") - 1:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await world.die()
        await world.pass_time(11)
        await world.sweep()
        if attempt < 2:
            assert (await world.look(run))["status"] == "queued"
            await world.claim(world.engine)
    seen = await world.look(run)
    assert (seen["status"], seen["last_error"]["code"]) == ("failed", "server_error")
    assert await world.steps(run) == await world.said(run) == []
    await world.engine.create_message(run["thread_id"], CreateMessage(role="user", content="Free."))


async def test_a_run_that_loses_its_worker_between_words_and_calls_says_and_calls_once(world: World) -> None:
    run = await world.run("!say let me see\n!call f {}\n!hang")
    async with asyncio.timeout(10):
        while len(await world.steps(run)) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
    await world.die()
    await world.pass_time(11)
    await world.sweep()
    assert await world.steps(run) == await world.said(run) == []
    calls = [TextChunk("let me see"), CallChunk(0, id="call_1", name="f", arguments="{}")]
    await world.claim(await world.other_engine(ScriptedModel([calls])))
    await world.until(run, "requires_action")
    assert [step["type"] for step in await world.steps(run)] == ["tool_calls", "message_creation"]
    assert len(await world.said(run)) == 1


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
    assert (await world.row(run)).worker == "other"


async def test_a_cancelled_run_whose_worker_is_gone_ends_cancelled(world: World) -> None:
    run = await world.run("!hang")
    await world.until(run, "in_progress")
    await world.die()
    await world.engine.cancel_run(run["thread_id"], run["id"], CancelRun())
    assert (await world.look(run))["status"] == "cancelling"
    await world.pass_time(11)
    await world.sweep()
    assert (await world.look(run))["status"] == "cancelled"


async def test_a_run_that_waits_too_long_expires_with_its_step(world: World) -> None:
    run = await world.run("!call f {}")
    waiting = await world.until(run, "requires_action")
    await world.pass_time(601)
    outputs = world.outputs(waiting)
    with pytest.raises(BadRequestError, match='Runs in status "expired" do not accept tool outputs.'):
        await world.engine.submit_tool_outputs_to_run(run["thread_id"], run["id"], outputs)
    assert (await world.look(run))["status"] == "expired"
    (step,) = await world.steps(run)
    assert step["status"] == "expired"


async def test_outputs_that_came_too_late_came_too_late_also_when_they_are_sent_again(world: World) -> None:
    run = await world.run("!call f {}")
    waiting = await world.until(run, "requires_action")
    await world.pass_time(601)
    for _ in range(2):
        with pytest.raises(BadRequestError, match='Runs in status "expired" do not accept tool outputs.'):
            await world.engine.submit_tool_outputs_to_run(
                run["thread_id"], run["id"], world.outputs(waiting), RetryKey("again", b"x" * 32)
            )


async def test_outputs_that_are_submitted_twice_at_once_are_taken_once(world: World) -> None:
    run = await world.run("!call f {}")
    waiting = await world.until(run, "requires_action")
    outputs = world.outputs(waiting)
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
    """Neither in the run's first leg, nor in the one after its calls."""
    change_run = world.store.change_run
    lost: list[tuple[str, int]] = []

    async def losing(run_id: str, change: Callable[[RunRow], RunChange | None], **options: Any) -> Any:
        changed = await change_run(run_id, change, **options)
        if changed is None or changed.change is None or changed.change.lease not in (None, "keep"):
            return changed
        written = (changed.change.status, changed.after.epoch)
        if written not in lost:
            lost.append(written)
            raise InternalServerError("The reply was lost.")
        return changed

    monkeypatch.setattr(world.store, "change_run", losing)
    run = await world.run("!call f {}\n!then\n!say a b")
    waiting = await world.until(run, "requires_action")
    await world.until_idle()
    await world.engine.submit_tool_outputs_to_run(run["thread_id"], run["id"], world.outputs(waiting))
    await world.until(run, "completed")
    await world.until_idle()
    monkeypatch.undo()
    assert lost == [("in_progress", 0), ("requires_action", 0), ("in_progress", 1), ("completed", 1)]
    assert [step["status"] for step in await world.steps(run)] == ["completed", "completed"]
    assert len(await world.said(run)) == 1
    assert (await world.row(run)).attempts == 0


async def test_a_service_that_stops_gives_its_runs_back(world: World) -> None:
    run = await world.run("!say a\n!hang")
    await world.until_said(run)
    await world.engine.stop(0)
    assert (await world.look(run))["status"] == "queued"
    row = await world.row(run)
    assert (row.attempts, row.lease_until) == (0, None)


async def test_what_a_service_is_claiming_when_it_stops_is_given_back_too(world: World) -> None:
    run = await world.run("!say a", await world.other_engine(claims=False))
    engine = await world.other_engine()
    await engine.start()
    while not engine._worker._claiming.locked():  # noqa: ASYNC110
        await asyncio.sleep(0)
    await engine.stop(0)
    assert (await world.look(run))["status"] in ("queued", "completed")
    row = await world.row(run)
    assert (row.attempts, row.lease_until) == (0, None)


async def test_an_answer_that_comes_whole_is_written_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one read brings is one transaction, and what it brings last goes with the end."""
    written: list[tuple[list[str], str]] = []
    change_run = world.store.change_run

    async def counted(run_id: str, change: Any, **options: Any) -> Any:
        changed = await change_run(run_id, change, **options)
        if changed is not None and changed.change is not None:
            written.append(([each.kind for each in changed.change.added], changed.change.status))
        return changed

    monkeypatch.setattr(world.store, "change_run", counted)
    world.engine = world.new_engine(ScriptedModel([[[TextChunk("whole")]]]))
    run = await world.run("Say it.")
    await world.until_idle()
    assert written[-1] == ([], "completed"), "the scripted model ends in a batch of its own"

    class Whole(ScriptedModel):
        async def answer(self, request: ModelRequest) -> AsyncIterator[list[Any]]:
            yield [TextChunk("all"), TextChunk(" at once"), FinishChunk("stop")]

    written.clear()
    world.engine = world.new_engine(Whole())
    run = await world.run("Say it.")
    await world.until_idle()
    assert written == [(["step", "message"], "completed")]
    steps = await world.steps(run)
    assert [step["status"] for step in steps] == ["completed"]
    message_id = steps[0]["step_details"]["message_creation"]["message_id"]
    message = msgspec.json.decode(await world.engine.get_message(run["thread_id"], message_id))
    assert message["status"] == "completed"
    assert message["content"][0]["text"]["value"] == "all at once"


async def test_frames_of_objects_that_are_not_written_yet_wait(world: World) -> None:
    was_taken, may_end = asyncio.Event(), asyncio.Event()

    class Whole(ScriptedModel):
        async def answer(self, request: ModelRequest) -> AsyncIterator[list[Any]]:
            yield [TextChunk("all"), FinishChunk("stop")]
            was_taken.set()
            await may_end.wait()

    world.engine = world.new_engine(Whole())
    run = await world.run("Say it.")
    channel = world.engine._broadcast.find(run["id"])
    assert channel is not None
    await was_taken.wait()
    told = channel.replay(0)
    assert told is not None
    assert b"thread.run.in_progress" in told[-1]
    assert not any(b"thread.message" in frame for frame in told)
    assert await world.steps(run) == []
    may_end.set()
    await world.until_idle()
    told = channel.replay(0)
    assert told is not None
    names = [frame[7:].split(b"\n")[0].decode() for frame in told]
    assert names == [
        "thread.created",
        "thread.run.created",
        "thread.run.queued",
        "thread.run.in_progress",
        "thread.run.step.created",
        "thread.run.step.in_progress",
        "thread.message.created",
        "thread.message.in_progress",
        "thread.message.delta",
        "thread.message.completed",
        "thread.run.step.completed",
        "thread.run.completed",
    ]
