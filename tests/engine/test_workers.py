"""Workers with their loops running: who finds what, and what they do when they cannot reach the database."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from holdover.engine.objects import Engine, EventStream
from holdover.errors import BadRequestError, InternalServerError
from holdover.models.catalog import Catalog, Names
from holdover.models.protocol import Chunk, ModelRequest, TextChunk
from holdover.models.scripted import ScriptedModel
from holdover.store.blobs import FolderBlobs
from holdover.store.postgres import PostgresStore
from holdover.wire.runs import CancelRun, CreateRun, RunEventsQuery
from holdover.wire.threads import CreateThread

from .conftest import World

#: Short enough to be waited for.
LEASE_S = 0.4


class Hanging(ScriptedModel):
    """Says a word, and nothing more until its call is ended."""

    def __init__(self) -> None:
        super().__init__()
        self.was_ended = asyncio.Event()

    async def answer(self, request: ModelRequest) -> AsyncIterator[Sequence[Chunk]]:
        yield (TextChunk("word"),)
        try:
            await asyncio.Event().wait()
        finally:
            self.was_ended.set()


async def test_a_worker_that_is_full_finds_the_next_run_when_it_has_room(world: World) -> None:
    engine = await world.other_engine(max_runs=1)
    await engine.start()
    runs = [await world.run("!say a b c", engine) for _ in range(4)]
    for run in runs:
        await world.until(run, "completed")


async def test_a_worker_that_is_full_is_not_kept_busy_by_what_it_cannot_take(world: World) -> None:
    engine = await world.other_engine(max_runs=1)
    first = await world.run("!hang", engine)
    await world.until(first, "in_progress")
    await engine.start()
    second = await world.run("!say a", engine)
    async with asyncio.timeout(10):
        await engine.cancel_run(first["thread_id"], first["id"], CancelRun())
        await world.until(second, "completed")


async def test_a_worker_that_stops_takes_nothing_and_does_nothing_but_stop(world: World) -> None:
    engine = await world.other_engine()
    await engine.start()
    run = await world.run("!hang", engine)
    await world.until(run, "in_progress")
    stopping = asyncio.create_task(engine.stop(0.1))
    await asyncio.sleep(0)
    later = await world.run("!say a", await world.other_engine(claims=False))
    engine._worker.wake()
    async with asyncio.timeout(10):
        await stopping
    assert (await world.look(run))["status"] == (await world.look(later))["status"] == "queued"


@pytest.mark.parametrize("how", ["refuses", "is silent"])
async def test_a_worker_that_cannot_renew_a_lease_ends_its_model_call_when_that_is_over(
    world: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Another may be driving the run by then, and a model may be paid by the word."""
    model = Hanging()
    engine = world.new_engine(model, lease_s=LEASE_S)

    async def renew(*_: Any) -> Any:
        if how == "is silent":
            await asyncio.Event().wait()
        raise InternalServerError("The database is away.")

    monkeypatch.setattr(world.store, "renew_leases", renew)
    clock = asyncio.get_running_loop().time
    began = clock()
    run = await world.run("Say something.", engine)
    await engine.start()
    async with asyncio.timeout(10):
        await model.was_ended.wait()
    assert LEASE_S <= clock() - began < 3 * LEASE_S
    await world.until(run, "queued", "in_progress")


async def test_a_failure_with_one_overdue_run_does_not_keep_others_from_being_put_right(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, fine = await world.run("!call f {}"), await world.run("!call f {}")
    for run in (broken, fine):
        await world.until(run, "requires_action")
    await world.tell(f"UPDATE runs SET document = cast('no document' AS {'bytea' if world.is_shared else 'blob'}) "
                     f"WHERE id = '{broken['id']}'")  # fmt: skip
    await world.pass_time(601)
    await (await world.other_engine()).start()
    await world.until(fine, "expired")


# ------------------------------------------------------------------------- several processes at one database


async def test_a_run_is_found_and_cancelled_without_a_single_hint(
    shared_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deaf(*_: Any) -> None:
        return None

    monkeypatch.setattr(PostgresStore, "watch", deaf)
    service = await shared_world.other_engine(claims=False)
    worker = await shared_world.other_engine(lease_s=LEASE_S)
    await worker.start()
    run = await shared_world.run("!say a\n!hang", service)
    await shared_world.until_said(run)
    await service.cancel_run(run["thread_id"], run["id"], CancelRun())
    await shared_world.until(run, "cancelled")


async def test_a_worker_whose_listening_connection_is_dead_finds_runs(shared_world: World) -> None:
    service = await shared_world.other_engine(claims=False)
    worker = await shared_world.other_engine(lease_s=LEASE_S)
    await worker.start()
    await shared_world.tell(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()"
    )
    await shared_world.until(await shared_world.run("!say a", service), "completed")


@pytest.mark.parametrize("minutes", [-5, 5])
async def test_the_clock_of_a_worker_counts_for_nothing(
    shared_world: World, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    real = time.time()
    service = await shared_world.other_engine(claims=False)
    monkeypatch.setattr(time, "time", lambda: real + 60 * minutes)
    worker = await shared_world.other_engine()
    await worker.start()
    run = await shared_world.run("!call f {}\n!then\n!say a", service)
    waiting = await shared_world.until(run, "requires_action")
    await worker.submit_tool_outputs_to_run(run["thread_id"], run["id"], shared_world.outputs(waiting))
    ended = await shared_world.until(run, "completed")
    (message,) = await shared_world.said(run)
    steps = await shared_world.steps(run)
    times = [ended["created_at"], ended["started_at"], ended["completed_at"], message["created_at"]]
    times += [step[name] for step in steps for name in ("created_at", "completed_at")]
    assert all(abs(each - real) < 60 for each in times)


async def test_a_worker_does_not_take_a_run_from_itself(world: World) -> None:
    """What kept it from renewing a lease in time, it has behind it when it looks for what is overdue."""
    run = await world.run("!say a\n!hang")
    await world.until_said(run)
    await world.pass_time(60)
    await world.sweep()
    assert (await world.look(run))["status"] == "in_progress"
    await world.sweep(await world.other_engine())
    assert (await world.look(run))["status"] == "queued"


async def test_a_worker_whose_loop_is_blocked_for_longer_than_its_lease_does_no_harm(shared_world: World) -> None:
    is_blocked, may_go_on = threading.Event(), threading.Event()

    class Blocking(ScriptedModel):
        async def answer(self, request: ModelRequest) -> AsyncIterator[Sequence[Chunk]]:
            yield (TextChunk("blocked "),)
            is_blocked.set()
            may_go_on.wait(20)
            yield (TextChunk("too long"),)

    url = shared_world.store._database.url  # type: ignore[attr-defined]

    async def be_blocked() -> None:
        store = await PostgresStore.open(url)
        models = Catalog(Names(), lambda target: Blocking(), own={"*": Blocking()})
        engine = Engine(store, models, FolderBlobs(None), lease_s=LEASE_S)
        await engine.start()
        async with asyncio.timeout(20):
            while not is_blocked.is_set():  # noqa: ASYNC110 - it is the loop that will be blocked
                await asyncio.sleep(0.01)
            await engine._worker._idle.wait()
        await engine.stop()
        await store.close()

    blocked = threading.Thread(target=lambda: asyncio.run(be_blocked()))
    blocked.start()
    try:
        run = await shared_world.run("!say x", await shared_world.other_engine(claims=False))
        await asyncio.to_thread(is_blocked.wait, 20)
        other = await shared_world.other_engine(ScriptedModel([[TextChunk("by another")]]), lease_s=LEASE_S)
        await other.start()
        await shared_world.until(run, "completed")
    finally:
        may_go_on.set()
        await asyncio.to_thread(blocked.join)
    assert [each["content"][0]["text"]["value"] for each in await shared_world.said(run)] == ["by another"]
    assert (await shared_world.look(run))["status"] == "completed"


# ----------------------------------------------------------------------------- where a stream can be had


async def events(stream: EventStream) -> list[str]:
    data = b"".join([each async for each in stream])
    return [line.removeprefix("event: ") for line in data.decode().splitlines() if line.startswith("event: ")]


async def test_a_service_that_does_not_work_drives_the_run_whose_stream_is_asked_of_it(shared_world: World) -> None:
    service = await shared_world.other_engine(claims=False)
    made = await shared_world.run("!say a", service)
    assert (await shared_world.look(made))["status"] == "queued"
    thread = msgspec.json.decode(await service.create_thread(CreateThread()))["id"]
    body = CreateRun(assistant_id=made["assistant_id"], instructions="!say here", stream=True)
    stream = await service.create_run(thread, body)
    assert isinstance(stream, EventStream)
    assert (await events(stream))[-2:] == ["thread.run.completed", "done"]


async def test_a_run_that_is_driven_here_is_told_apart_from_one_that_is_driven_elsewhere(shared_world: World) -> None:
    here, elsewhere = await shared_world.other_engine(), await shared_world.other_engine()
    run = await shared_world.run("!say a\n!hang", here)
    where = (run["thread_id"], run["id"])
    await shared_world.until_said(run)
    with pytest.raises(BadRequestError) as refused:
        await elsewhere.stream_run(*where, RunEventsQuery())
    assert refused.value.code == "stream_not_here"
    stream = await here.stream_run(*where, RunEventsQuery())
    await elsewhere.cancel_run(*where, CancelRun())
    here._worker.interrupt(run["id"], "cancel")
    assert (await events(stream))[-2:] == ["thread.run.cancelled", "done"]
    assert (await events(await elsewhere.stream_run(*where, RunEventsQuery())))[-2:] == ["thread.run.cancelled", "done"]


async def test_a_run_that_waits_for_a_worker_is_not_here(shared_world: World) -> None:
    service = await shared_world.other_engine(claims=False)
    run = await shared_world.run("!say a", service)
    with pytest.raises(BadRequestError) as refused:
        await service.stream_run(run["thread_id"], run["id"], RunEventsQuery())
    assert refused.value.code == "stream_not_here"


@pytest.mark.parametrize("ends_by", ["going on", "cancelling"])
async def test_a_run_that_went_on_elsewhere_is_not_told_from_what_was_heard_here(
    shared_world: World, ends_by: str
) -> None:
    here, elsewhere = await shared_world.other_engine(), await shared_world.other_engine()
    run = await shared_world.run("!call f {}\n!then\n!say a", here)
    where = (run["thread_id"], run["id"])
    waiting = await shared_world.until(run, "requires_action")
    await shared_world.until_idle()
    assert (await events(await here.stream_run(*where, RunEventsQuery())))[-2:] == [
        "thread.run.requires_action",
        "done",
    ]
    if ends_by == "going on":
        await elsewhere.submit_tool_outputs_to_run(*where, shared_world.outputs(waiting))
        end = "completed"
    else:
        await elsewhere.cancel_run(*where, CancelRun())
        end = "cancelled"
    await shared_world.until(run, end)
    told = await events(await here.stream_run(*where, RunEventsQuery()))
    assert told[-2:] == [f"thread.run.{end}", "done"]
    assert ("thread.message.completed" in told) == (end == "completed")


async def test_a_service_that_does_not_work_keeps_nothing_of_runs_that_others_drive(shared_world: World) -> None:
    service, worker = await shared_world.other_engine(claims=False), await shared_world.other_engine()
    run = await shared_world.run("!call f {}\n!then\n!say a", service)
    await shared_world.claim(worker)
    waiting = await shared_world.until(run, "requires_action")
    await service.submit_tool_outputs_to_run(run["thread_id"], run["id"], shared_world.outputs(waiting))
    await shared_world.until_idle()
    await shared_world.claim(worker)
    await shared_world.until(run, "completed")
    assert service._broadcast._channels == {}


def test_every_engine_has_a_name_of_its_own() -> None:
    names = {Engine(store, None, None)._worker.name for store in [_Nothing()] * 9}  # type: ignore[arg-type]
    assert len(names) == 9


class _Nothing:
    now = staticmethod(time.time)
