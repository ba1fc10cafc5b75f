"""What the engine adds to a run whose model answers at once: processor time and wall time.

A *run* here is one text answer. A *three-step run* is a function call, the outputs that are submitted, and an answer:
twice a model is asked. Each is created on a thread that has a question in it, and its stream is read to the end. The
engine is called directly (``python -m bench.runs DATABASE``), without HTTP, one run at a time: nothing is shared that
would make a run cheaper.

SQLite runs on a file: what is acknowledged is flushed to the disk, what lies between is not. A flush takes as long as
the disk likes, so the wall time is measured in a folder that is kept in memory, where it takes none. PostgreSQL runs
without flushes, too; counted is this side's processor time, not the server's.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import uvloop

from holdover.engine.objects import Engine, EventStream
from holdover.models.catalog import Catalog, Names
from holdover.models.protocol import CallChunk, Chunk, FinishChunk, ModelRequest, TextChunk, ToolTurn, UsageChunk
from holdover.store.blobs import FolderBlobs
from holdover.store.sqlite import SQLiteStore
from holdover.wire.assistants import CreateAssistant
from holdover.wire.messages import CreateMessage
from holdover.wire.runs import CreateRun, SubmitToolOutputs, ToolOutput
from holdover.wire.threads import CreateThread
from holdover.wire.tools import FunctionDefinition, FunctionTool

from .goals import Measured
from .processes import MEASURED_CORE, Child
from .rounds import Effort, figure, take_turns

USUAL_RUNS = {"text": 400, "three_steps": 150}
#: Where Linux keeps a folder in memory.
MEMORY = "/dev/shm"


class Cost(msgspec.Struct):
    """What a run took: processor time of the process, and the median of the times from asking to the stream's end."""

    cpu_ms: float
    p50_ms: float


def measure(effort: Effort) -> list[Measured]:
    """Measure the rows ``run_cpu``, ``run_wall`` and ``run_postgres``."""
    return [_on_disk(effort), _in_memory(effort), _on_postgres(effort)]


def _on_disk(effort: Effort) -> Measured:
    with tempfile.TemporaryDirectory(prefix="holdover-bench-") as folder:
        costs = _costs(str(Path(folder, "holdover.db")), "text", effort)
    return figure("run_cpu", [cost.cpu_ms for cost in costs], {"wall_ms": [cost.p50_ms for cost in costs]})


def _in_memory(effort: Effort) -> Measured:
    if not os.access(MEMORY, os.W_OK):
        return Measured(goal="run_wall", skipped=f"there is no {MEMORY}: a flush would be measured")
    with tempfile.TemporaryDirectory(prefix="holdover-bench-", dir=MEMORY) as folder:
        costs = _costs(str(Path(folder, "holdover.db")), "text", effort)
    return figure("run_wall", [cost.p50_ms for cost in costs], {"cpu_ms": [cost.cpu_ms for cost in costs]})


def _on_postgres(effort: Effort) -> Measured:
    try:
        with _postgres() as url:
            costs = _costs(url, "three_steps", effort)
    except ImportError as missing:
        return Measured(goal="run_postgres", skipped=f"no PostgreSQL: {missing}")
    return figure("run_postgres", [cost.cpu_ms for cost in costs], {"wall_ms": [cost.p50_ms for cost in costs]})


def _costs(database: str, kind: str, effort: Effort) -> list[Cost]:
    order = f"{kind} {effort.count(USUAL_RUNS[kind])}"
    costs: list[Cost] = []

    def side() -> float:
        costs.append(msgspec.json.decode(child.ask(order), type=Cost))
        return costs[-1].cpu_ms

    with Child("-m", "bench.runs", database, core=MEASURED_CORE) as child:
        child.read()
        take_turns({"engine": side}, effort.rounds)
    return costs[1:]


@contextmanager
def _postgres() -> Iterator[str]:
    """Start a server of our own, as the tests do, and give its address."""
    from tests.postgres import Server, Unavailable

    with tempfile.TemporaryDirectory(prefix="hpb-") as folder:
        os.chmod(folder, 0o755)
        try:
            server = Server(Path(folder, "pg"))
            server.start()
        except Unavailable as error:
            raise ImportError(str(error)) from error
        try:
            yield server.url
        finally:
            server.stop()


# ---------------------------------------------------------------------------------- in the other process


class InstantModel:
    """Answers at once, in one piece; calls a function first where it is offered one."""

    context_tokens = 128_000

    def count_tokens(self, text: str) -> int:
        return len(text) // 4 + 1

    async def answer(self, request: ModelRequest) -> AsyncIterator[Sequence[Chunk]]:
        usage = UsageChunk(20, 10)
        if request.functions and not any(isinstance(each, ToolTurn) for each in request.turns):
            yield (CallChunk(0, "call_1", "multiply", '{"a": 7, "b": 8}'), FinishChunk("tool_calls"), usage)
        else:
            yield (TextChunk("Seven times eight is fifty-six."), FinishChunk("stop"), usage)


class Runs:
    """An engine, and the runs that are made with it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._assistants: dict[str, str] = {}

    async def prepare(self) -> None:
        """Make the assistants."""
        multiply = FunctionTool(function=FunctionDefinition(name="multiply", parameters={"type": "object"}))
        for kind, tools in {"text": [], "three_steps": [multiply]}.items():
            asked = CreateAssistant(model="instant", instructions="You teach mathematics.", tools=[*tools])
            self._assistants[kind] = _decode(await self._engine.create_assistant(asked))["id"]

    async def cost(self, kind: str, count: int) -> Cost:
        """Make that many runs, one after the other; their threads are made beforehand."""
        question = CreateMessage(role="user", content="What is 7 times 8?")
        threads = [
            _decode(await self._engine.create_thread(CreateThread(messages=[question])))["id"] for _ in range(count)
        ]
        make = self._text if kind == "text" else self._three_steps
        times = []
        cpu_began = time.process_time()
        for thread_id in threads:
            began = time.perf_counter()
            last = await make(thread_id)
            times.append(time.perf_counter() - began)
            assert b"event: thread.run.completed\n" in last
        return Cost((time.process_time() - cpu_began) / count * 1e3, median(times) * 1e3)

    async def _text(self, thread_id: str) -> bytes:
        return await _read(await self._begin("text", thread_id))

    async def _three_steps(self, thread_id: str) -> bytes:
        asked = await _read(await self._begin("three_steps", thread_id))
        at = asked.index(b"event: thread.run.requires_action\ndata: ") + 40
        run = _decode(asked[at : asked.index(b"\n\n", at)])
        call_id = run["required_action"]["submit_tool_outputs"]["tool_calls"][0]["id"]
        outputs = SubmitToolOutputs(tool_outputs=[ToolOutput(tool_call_id=call_id, output="56")], stream=True)
        return await _read(await self._engine.submit_tool_outputs_to_run(thread_id, run["id"], outputs))

    async def _begin(self, kind: str, thread_id: str) -> bytes | EventStream:
        return await self._engine.create_run(thread_id, CreateRun(assistant_id=self._assistants[kind], stream=True))


async def _read(events: bytes | EventStream) -> bytes:
    assert isinstance(events, EventStream)
    return b"".join([frames async for frames in events])


_decode: Callable[[Any], Any] = msgspec.json.decode


async def _open(database: str) -> Any:
    if database.startswith("postgresql"):
        from holdover.store.postgres import PostgresStore

        return await PostgresStore.open(database)
    return await SQLiteStore.open(database)


async def answer_orders(database: str) -> None:
    """For every kind and number on standard input make that many runs of that kind, and say what one took."""
    store = await _open(database)
    model = InstantModel()
    models = Catalog(Names(), lambda target: model, own={"instant": model})
    engine = Engine(store, models, FolderBlobs(None))
    await engine.start()
    runs = Runs(engine)
    await runs.prepare()
    print("ready", flush=True)
    for line in sys.stdin:
        kind, count = line.split()
        print(msgspec.json.encode(await runs.cost(kind, int(count))).decode(), flush=True)
    await engine.stop()
    await store.close()


if __name__ == "__main__":
    uvloop.run(answer_orders(sys.argv[1]))
