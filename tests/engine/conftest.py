"""A world for runs: a store of each kind, engines on it, and time that passes when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests import postgres

from holdover.engine.objects import Engine
from holdover.models.catalog import Catalog, Names
from holdover.models.scripted import ScriptedModel
from holdover.store.blobs import FolderBlobs
from holdover.store.postgres import PostgresStore
from holdover.store.protocol import RunRow, Store
from holdover.store.sqlite import SQLiteStore
from holdover.wire.assistants import CreateAssistant
from holdover.wire.messages import CreateMessage, MessageQuery
from holdover.wire.runs import CreateThreadAndRun, SubmitToolOutputs, ToolOutput
from holdover.wire.steps import StepPageQuery
from holdover.wire.threads import CreateThread
from holdover.wire.tools import FunctionDefinition, FunctionTool


class World:
    """A database, and an engine that uses it; more can be had.

    Args:
        new_store: Gives a store for one more process; one that only serves one process gives the same again.
        tell: Has the database carry out a statement, past all engines.
    """

    def __init__(self, store: Store, new_store: Callable[[], Awaitable[Store]], tell: Callable[..., Awaitable[None]]):
        self.store = store
        self.tell = tell
        self._new_store = new_store
        self._engines: list[Engine] = []
        self.engine = self.new_engine(ScriptedModel())

    @property
    def is_shared(self) -> bool:
        """Whether the database serves several processes."""
        return isinstance(self.store, PostgresStore)

    def new_engine(self, model: Any, *, store: Store | None = None, **options: Any) -> Engine:
        """Return an engine with this model, as another process has it."""
        given = {"lease_s": 10} | options
        catalog = Catalog(Names(), lambda target: model, own={"*": model})
        self._engines.append(Engine(store or self.store, catalog, FolderBlobs(None), **given))
        return self._engines[-1]

    async def other_engine(self, model: Any = None, **options: Any) -> Engine:
        """Return an engine of another process, where the database serves several."""
        return self.new_engine(model or ScriptedModel(), store=await self._new_store(), **options)

    async def run(self, script: str, engine: Engine | None = None) -> dict[str, Any]:
        """Make a thread and a run on it."""
        engine = engine or self.engine
        tools = [FunctionTool(function=FunctionDefinition(name="f"))]
        made = await engine.create_assistant(CreateAssistant(model="m", instructions="x", tools=tools))
        thread = CreateThread(messages=[CreateMessage(role="user", content=script)])
        body = CreateThreadAndRun(assistant_id=msgspec.json.decode(made)["id"], thread=thread)
        run = await engine.create_thread_and_run(body)
        assert isinstance(run, bytes)
        decoded: dict[str, Any] = msgspec.json.decode(run)
        return decoded

    async def look(self, run: dict[str, Any]) -> dict[str, Any]:
        """Return a run as it is now."""
        decoded: dict[str, Any] = msgspec.json.decode(await self.engine.get_run(run["thread_id"], run["id"]))
        return decoded

    async def row(self, run: dict[str, Any]) -> RunRow:
        """Return a run's row."""
        found = await self.store.change_run(run["id"], lambda row: None)
        assert found is not None
        return found.row

    async def until(self, run: dict[str, Any], *statuses: str) -> dict[str, Any]:
        """Wait until a run is in one of these statuses."""
        async with asyncio.timeout(10):
            while (seen := await self.look(run))["status"] not in statuses:  # noqa: ASYNC110
                await asyncio.sleep(0)
        return seen

    async def until_said(self, run: dict[str, Any]) -> None:
        """Wait until a run has a step."""
        async with asyncio.timeout(10):
            while not await self.steps(run):  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def until_idle(self) -> None:
        """Wait until nothing is driven any more."""
        async with asyncio.timeout(10):
            for engine in self._engines:
                await engine._worker._idle.wait()

    async def steps(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a run's steps, the newest first."""
        return await self.listed(self.engine.list_run_steps(run["thread_id"], run["id"], StepPageQuery()))

    async def said(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the messages that a run wrote."""
        return await self.listed(self.engine.list_messages(run["thread_id"], MessageQuery(run_id=run["id"])))

    async def listed(self, asked: Any) -> list[dict[str, Any]]:
        """Return what is on a page."""
        data: list[dict[str, Any]] = msgspec.json.decode(await asked)["data"]
        return data

    def outputs(self, run: dict[str, Any], output: str = "done") -> SubmitToolOutputs:
        """Return outputs for all calls that a run waits for."""
        calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
        return SubmitToolOutputs(tool_outputs=[ToolOutput(tool_call_id=each["id"], output=output) for each in calls])

    async def add_message(self, run: dict[str, Any], engine: Engine | None = None) -> None:
        """Add a message to a run's thread, which must be free for that."""
        await (engine or self.engine).create_message(
            run["thread_id"], CreateMessage(role="user", content="The thread is free.")
        )

    async def pass_time(self, seconds: float) -> None:
        """Let so much time pass, as the database sees it."""
        await self.tell(f"UPDATE runs SET lease_until = lease_until - {seconds}, expires_at = expires_at - {seconds}")

    async def sweep(self, engine: Engine | None = None) -> None:
        """Put right what is overdue."""
        for run_id in await self.store.list_due_runs(100):
            await (engine or self.engine)._worker.put_right(run_id)

    async def claim(self, engine: Engine) -> None:
        """Have an engine take what waits."""
        claiming = asyncio.create_task(engine._worker._claim())
        while not claiming.done():
            engine._worker.wake()  # so that it does not wait for more
            await asyncio.sleep(0)
        await claiming

    async def beat(self) -> None:
        """Have all engines renew their leases, and be told what became of their runs."""

        async def at_once(seconds: float) -> None:
            return None

        for engine in self._engines:
            engine._worker._sleep = at_once
            await engine._worker._renew()

    async def die(self, engine: Engine | None = None) -> None:
        """Let every driver go without a word, as a process that is killed does."""
        driving = (engine or self.engine)._worker._driving
        for task in list(driving):
            task.cancel()
        await asyncio.gather(*driving, return_exceptions=True)

    async def end(self) -> None:
        """End every engine."""
        for engine in self._engines:
            await self.die(engine)
            await engine.stop()


async def _sqlite(folder: Path) -> AsyncIterator[World]:
    store = await SQLiteStore.open(str(folder / "holdover.db"))

    async def tell(statement: str) -> None:
        await store._database.write(lambda connection: connection.execute(statement) and None)

    async def same() -> Store:
        return store

    world = World(store, same, tell)
    yield world
    await world.end()
    await store.close()


async def _postgres(folder: Path) -> AsyncIterator[World]:
    import asyncpg  # type: ignore[import-untyped]

    url = await postgres.database_url(folder)
    stores = [await PostgresStore.open(url)]

    async def tell(statement: str) -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(statement)
        await connection.close()

    async def another() -> Store:
        stores.append(await PostgresStore.open(url))
        return stores[-1]

    world = World(stores[0], another, tell)
    yield world
    await world.end()
    for store in stores:
        await store.close()


WORLDS = {"sqlite": _sqlite, "postgres": _postgres}


@pytest.fixture(params=WORLDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A world on each kind of store."""
    async for each in WORLDS[request.param](tmp_path):
        yield each


@pytest.fixture
async def shared_world(tmp_path: Path) -> AsyncIterator[World]:
    """A world whose database several processes can use."""
    async for each in _postgres(tmp_path):
        yield each
