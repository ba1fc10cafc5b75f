"""What happens to a run at the worst moments, and what must come of it, on every store.

A driver is held at one of its writes while the world goes on without it: `MOMENTS` times what may happen meanwhile.
Where two requests race without a driver, they are sent at once, to two processes where the database serves two.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from holdover.engine.driver import Driver
from holdover.errors import BadRequestError, NotFoundError
from holdover.models.protocol import TextChunk
from holdover.models.scripted import ScriptedModel
from holdover.store.protocol import Reference, RunChange, RunRow
from holdover.wire.messages import CreateMessage
from holdover.wire.runs import CancelRun, CreateRun, SubmitToolOutputs

from .conftest import World

#: Where a driver begins, or writes, and the script that leads there.
MOMENTS = {
    "_go_on": "!say a b",
    "_keep": "!say a b",
    "_end": "!say a b",
    "_ask_for_outputs": "!call f {}",
}
#: Twice is enough to tell; a race that is lost rarely is looked for by the chaos suite.
TRIES = 5


class Gate:
    """Holds the first driver that comes to a certain write."""

    def __init__(self) -> None:
        self.is_reached = asyncio.Event()
        self.may_go_on = asyncio.Event()


Hold = Callable[[str], Gate]


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Hold:
    """Have the first driver that comes to a write wait there, outside of any transaction, until it may go on."""

    def at(write: str) -> Gate:
        gate = Gate()
        original = getattr(Driver, write)

        async def held(driver: Driver, *args: Any, **options: Any) -> Any:
            if not gate.is_reached.is_set():
                gate.is_reached.set()
                await gate.may_go_on.wait()
            return await original(driver, *args, **options)

        monkeypatch.setattr(Driver, write, held)
        return gate

    return at


async def held_run(world: World, hold: Hold, moment: str) -> tuple[Gate, dict[str, Any]]:
    """Return a run whose driver waits at a moment."""
    gate = hold(moment)
    run = await world.run(MOMENTS[moment])
    async with asyncio.timeout(10):
        await gate.is_reached.wait()
    return gate, run


async def let_go(world: World, gate: Gate) -> None:
    gate.may_go_on.set()
    await world.until_idle()


async def check_whole(world: World, run: dict[str, Any]) -> None:
    """Nothing of a run that has ended is there twice, or half-done, and its thread is free."""
    steps, said = await world.steps(run), await world.said(run)
    assert all(each["status"] != "in_progress" for each in (*steps, *said))
    told = [
        step["step_details"]["message_creation"]["message_id"] for step in steps if step["type"] == "message_creation"
    ]
    assert told == [each["id"] for each in said]
    assert len(steps) <= 1
    row = await world.row(run)
    assert (row.lease_until, row.expires_at) == (None, None)
    await world.add_message(run)


# -------------------------------------------------------------------------- while a driver is at a write


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_run_that_is_cancelled_at_any_moment_ends_cancelled(world: World, hold: Hold, moment: str) -> None:
    gate, run = await held_run(world, hold, moment)
    other = await world.other_engine()
    await other.cancel_run(run["thread_id"], run["id"], CancelRun())
    with pytest.raises(BadRequestError, match="Cannot cancel run with status 'cancell(ing|ed)'"):
        await world.engine.cancel_run(run["thread_id"], run["id"], CancelRun())
    await let_go(world, gate)
    assert (await world.look(run))["status"] == "cancelled"
    await check_whole(world, run)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_run_that_expires_at_any_moment_ends_expired(world: World, hold: Hold, moment: str) -> None:
    gate, run = await held_run(world, hold, moment)
    await world.pass_time(610)
    await world.sweep(await world.other_engine())
    await let_go(world, gate)
    assert (await world.look(run))["status"] == "expired"
    await check_whole(world, run)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_run_that_is_taken_over_at_any_moment_is_done_once(world: World, hold: Hold, moment: str) -> None:
    """Its driver was frozen, or its loop blocked, for longer than the lease; then it comes back and knows nothing."""
    gate, run = await held_run(world, hold, moment)
    await world.pass_time(11)
    other = await world.other_engine(ScriptedModel([[TextChunk("by another")]]))
    await world.sweep(other)
    await world.claim(other)
    await world.until(run, "completed")
    await let_go(world, gate)
    assert (await world.look(run))["status"] == "completed"
    assert [each["content"][0]["text"]["value"] for each in await world.said(run)] == ["by another"]
    await check_whole(world, run)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_thread_that_is_deleted_at_any_moment_takes_its_run_with_it(
    world: World, hold: Hold, moment: str
) -> None:
    gate, run = await held_run(world, hold, moment)
    await (await world.other_engine()).delete_thread(run["thread_id"])
    await let_go(world, gate)
    with pytest.raises(NotFoundError):
        await world.look(run)
    assert await world.store.get("run", run["id"], owner=run["thread_id"]) is None
    for kind, owner in (("message", run["thread_id"]), ("step", run["id"])):
        left = await world.store.page(kind, limit=9, ascending=True, after=None, before=None, owner=owner)  # type: ignore[arg-type]
        assert left.ids == []


@pytest.mark.parametrize("moment", MOMENTS)
async def test_an_assistant_can_be_deleted_at_any_moment(world: World, hold: Hold, moment: str) -> None:
    gate, run = await held_run(world, hold, moment)
    await (await world.other_engine()).delete_assistant(run["assistant_id"])
    await let_go(world, gate)
    ends = "requires_action" if moment == "_ask_for_outputs" else "completed"
    assert (await world.look(run))["status"] == ends


async def test_a_message_that_is_deleted_while_it_is_written_does_not_come_back(world: World, hold: Hold) -> None:
    gate, run = await held_run(world, hold, "_end")
    (message,) = await world.said(run)
    await (await world.other_engine()).delete_message(run["thread_id"], message["id"])
    await let_go(world, gate)
    assert (await world.look(run))["status"] == "completed"
    assert await world.said(run) == []


@pytest.mark.parametrize("moment", MOMENTS)
async def test_while_a_run_is_active_its_thread_takes_nothing(world: World, hold: Hold, moment: str) -> None:
    gate, run = await held_run(world, hold, moment)
    other = await world.other_engine()
    thread = run["thread_id"]
    with pytest.raises(BadRequestError, match=f"Can't add messages to {thread} while a run {run['id']} is active"):
        await world.add_message(run, other)
    with pytest.raises(BadRequestError, match=f"Thread {thread} already has an active run {run['id']}"):
        await other.create_run(thread, CreateRun(assistant_id=run["assistant_id"]))
    await let_go(world, gate)


# ------------------------------------------------------------------------------ a database that forgets


async def test_a_message_that_a_database_forgot_is_not_taken_for_written(world: World, hold: Hold) -> None:
    """It crashed, and what was not flushed is gone; its driver has the message in mind and is about to complete it."""
    gate, run = await held_run(world, hold, "_end")
    (step,), (message,) = await world.steps(run), await world.said(run)

    def forget(row: RunRow) -> RunChange:
        gone = [Reference("step", step["id"]), Reference("message", message["id"])]
        before = b"{}"
        return RunChange(
            status=row.status,
            document=row.document,
            expires_at=row.expires_at,
            extra=before,
            lease="keep",
            removed=gone,
        )

    await world.store.change_run(run["id"], forget)
    await let_go(world, gate)
    assert (await world.look(run))["status"] == "in_progress"
    await world.pass_time(11)
    await world.sweep()
    await world.claim(await world.other_engine())
    await world.until(run, "completed")
    assert len(await world.said(run)) == 1
    await check_whole(world, run)


def slow_model(may_end: asyncio.Event) -> ScriptedModel:
    """Return a model that says something, and ends when it may."""

    async def wait(seconds: float) -> None:
        await may_end.wait()

    return ScriptedModel([[TextChunk("once"), 1.0]], sleep=wait)


async def claimed_run(world: World, gate: Gate) -> dict[str, Any]:
    """Return a run that the world's engine has claimed from a queue; its driver waits at the gate."""
    run = await world.run("!say a b", await world.other_engine(claims=False))
    await world.claim(world.engine)
    async with asyncio.timeout(10):
        await gate.is_reached.wait()
    return run


FORGET_CLAIM = "UPDATE runs SET status = 'queued', epoch = epoch - 1, worker = NULL, lease_until = NULL"


async def test_a_claim_that_a_database_forgot_is_worth_nothing(world: World, hold: Hold) -> None:
    """It is given to another with the same epoch: a database that lost the first claim counts again from before it."""
    gate, may_end = hold("_keep"), asyncio.Event()
    run = await claimed_run(world, gate)
    epoch = (await world.row(run)).epoch
    await world.tell(FORGET_CLAIM)
    other = await world.other_engine(slow_model(may_end))
    await world.claim(other)
    await world.until_said(run)
    assert (await world.row(run)).epoch == epoch
    gate.may_go_on.set()
    async with asyncio.timeout(10):
        await world.engine._worker._idle.wait()
    may_end.set()
    await world.until(run, "completed")
    assert [each["content"][0]["text"]["value"] for each in await world.said(run)] == ["once"]
    await check_whole(world, run)


async def test_a_run_that_is_given_to_the_same_worker_again_is_driven_once(world: World, hold: Hold) -> None:
    gate, may_end = hold("_keep"), asyncio.Event()
    world.engine = await world.other_engine(slow_model(may_end))
    run = await claimed_run(world, gate)
    (first,) = world.engine._worker._driving
    await world.tell(FORGET_CLAIM)
    await world.claim(world.engine)
    await world.until_said(run)
    gate.may_go_on.set()
    async with asyncio.timeout(10):
        await asyncio.wait([first])
    assert len(await world.said(run)) == 1
    may_end.set()
    await world.until(run, "completed")
    await world.until_idle()
    await check_whole(world, run)


async def test_the_end_that_another_wrote_is_not_taken_for_ones_own(world: World, hold: Hold) -> None:
    """An expired run looks the same whoever ends it; but what its driver had begun is taken away by who sweeps."""
    gate, may_end = hold("_end"), asyncio.Event()
    world.engine = await world.other_engine(slow_model(may_end))
    run = await world.run("Hello")
    await world.until_said(run)
    world.engine._worker.interrupt(run["id"], "expire")
    async with asyncio.timeout(10):
        await gate.is_reached.wait()
    await world.pass_time(610)
    await world.sweep(await world.other_engine())
    await let_go(world, gate)
    assert (await world.look(run))["status"] == "expired"
    assert world.engine._broadcast.find(run["id"]) is None, "it tells of an end that is not as it believes"
    await check_whole(world, run)


# ------------------------------------------------------------------------------------- requests that race


async def waiting_run(world: World) -> dict[str, Any]:
    """Return a run that waits for outputs."""
    run = await world.run("!call f {}\n!then\n!say a")
    waiting = await world.until(run, "requires_action")
    await world.until_idle()
    return waiting


def taken(outcomes: list[Any]) -> int:
    """Return how many requests were carried out; the others were refused, and nothing else."""
    assert {type(each) for each in outcomes} <= {bytes, BadRequestError}
    return sum(isinstance(each, bytes) for each in outcomes)


async def at_once(*asked: Any) -> list[Any]:
    return await asyncio.gather(*asked, return_exceptions=True)


async def test_of_claiming_and_cancelling_the_one_that_is_later_sees_the_other(world: World) -> None:
    other = await world.other_engine()
    service = await world.other_engine(claims=False)
    for _ in range(TRIES):
        run = await world.run("!hang", service)
        cancelled, _ = await at_once(
            other.cancel_run(run["thread_id"], run["id"], CancelRun()), world.claim(world.engine)
        )
        assert isinstance(cancelled, bytes)
        await world.beat()
        await world.until(run, "cancelled")
        await check_whole(world, run)
    assert await world.store.claim_runs(9, lambda row: None) == []


async def test_outputs_that_are_submitted_on_two_machines_are_taken_once(world: World) -> None:
    engines = [world.engine, await world.other_engine()]
    for _ in range(TRIES):
        run = await waiting_run(world)
        asked = [
            each.submit_tool_outputs_to_run(run["thread_id"], run["id"], world.outputs(run, output))
            for each in engines
            for output in ("one", "other")
        ]
        assert taken(await at_once(*asked)) == 1
        await world.until(run, "completed")
        await world.until_idle()
        assert [step["status"] for step in await world.steps(run)] == ["completed", "completed"]


async def test_a_part_of_the_outputs_changes_nothing(world: World) -> None:
    run = await world.run("!call f {}\n!call f {}\n!then\n!say a")
    waiting = await world.until(run, "requires_action")
    whole = world.outputs(waiting)
    part = SubmitToolOutputs(tool_outputs=whole.tool_outputs[:1])
    with pytest.raises(BadRequestError, match="Expected tool outputs for call_ids"):
        await world.engine.submit_tool_outputs_to_run(run["thread_id"], run["id"], part)
    assert await world.look(run) == waiting
    await world.engine.submit_tool_outputs_to_run(run["thread_id"], run["id"], whole)
    await world.until(run, "completed")


async def test_of_cancelling_and_submitting_both_may_be_taken_but_the_run_ends_once(world: World) -> None:
    other = await world.other_engine()
    for _ in range(TRIES):
        run = await waiting_run(world)
        where = (run["thread_id"], run["id"])
        outcomes = await at_once(
            world.engine.submit_tool_outputs_to_run(*where, world.outputs(run)), other.cancel_run(*where, CancelRun())
        )
        assert taken(outcomes) >= 1
        if isinstance(outcomes[1], bytes):
            await world.beat()
        ended = await world.until(run, "cancelled", "completed")
        assert (ended["status"] == "cancelled") == isinstance(outcomes[1], bytes)
        await world.until_idle()
        await world.add_message(run)


async def test_of_expiring_and_submitting_or_cancelling_one_is_first(world: World) -> None:
    other = await world.other_engine()
    for _ in range(TRIES):
        run = await waiting_run(world)
        where = (run["thread_id"], run["id"])
        await world.pass_time(601)
        submitted, cancelled, _ = await at_once(
            world.engine.submit_tool_outputs_to_run(*where, world.outputs(run)),
            other.cancel_run(*where, CancelRun()),
            world.sweep(other),
        )
        assert isinstance(submitted, BadRequestError), "it came too late"
        ended = (await world.look(run))["status"]
        assert ended == ("cancelled" if isinstance(cancelled, bytes) else "expired")
        (step,) = await world.steps(run)
        assert step["status"] == ended
        await world.add_message(run)


async def test_of_two_runs_that_are_made_on_one_thread_one_is(world: World) -> None:
    engines = [world.engine, await world.other_engine()]
    made = msgspec.json.decode(await world.engine.get_run(*(run := await ended_run(world))))
    for _ in range(TRIES):
        await world.add_message({"thread_id": run[0]})
        body = CreateRun(assistant_id=made["assistant_id"], instructions="!hang")
        asked = [each.create_run(run[0], body) for each in engines * 2]
        outcomes = await at_once(*asked)
        assert taken(outcomes) == 1
        (active,) = [msgspec.json.decode(each) for each in outcomes if isinstance(each, bytes)]
        assert all(f"active run {active['id']}" in str(each) for each in outcomes if isinstance(each, BadRequestError))
        await end(world, active)


async def end(world: World, run: dict[str, Any]) -> None:
    """Have a run end, whether it would by itself or not."""
    with contextlib.suppress(BadRequestError):
        await world.engine.cancel_run(run["thread_id"], run["id"], CancelRun())
    await world.beat()
    await world.until(run, "cancelled", "completed")


async def ended_run(world: World) -> tuple[str, str]:
    run = await world.run("!say a")
    await world.until(run, "completed")
    return run["thread_id"], run["id"]


async def test_of_a_run_and_a_message_that_are_made_on_one_thread_both_or_one_is(world: World) -> None:
    other = await world.other_engine()
    thread, run_id = await ended_run(world)
    made = msgspec.json.decode(await world.engine.get_run(thread, run_id))
    for _ in range(TRIES):
        body = CreateRun(assistant_id=made["assistant_id"], instructions="!hang")
        outcomes = await at_once(
            world.engine.create_run(thread, body),
            other.create_message(thread, CreateMessage(role="user", content="!hang")),
        )
        assert isinstance(outcomes[0], bytes)
        assert taken(outcomes) >= 1
        active = msgspec.json.decode(outcomes[0])
        await end(world, active)
