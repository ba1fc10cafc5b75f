"""Which files are in the folder of a sandbox, and under which names, when sandboxes come and go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from holdover import telemetry
from holdover.engine.files import Received, new_file
from holdover.engine.interpreting import CodeInterpreter
from holdover.engine.lifecycle import RunState
from holdover.store.blobs import FolderBlobs
from holdover.tools.code_interpreter.protocol import DATA, Done, Event, File
from holdover.wire import ids
from holdover.wire.threads import Thread
from holdover.wire.tools import CodeInterpreterResources, ToolResources


class Folder:
    """A session that has nothing but a folder; its code is what it writes, ``NAME=CONTENT``, or nothing."""

    is_alive = True

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    async def put(self, name: str, chunks: AsyncIterator[bytes]) -> str:
        self.files[name] = b"".join([chunk async for chunk in chunks])
        return f"{DATA}/{name}"

    async def execute(self, code: str) -> AsyncIterator[Event]:
        if code:
            name, _, content = code.partition("=")
            self.files[name] = content.encode()

            async def chunks() -> AsyncIterator[bytes]:
                yield content.encode()

            yield File(path=f"{DATA}/{name}", size=len(content), sha256="", chunks=chunks)
        yield Done(status="ok", duration_ms=0)


class World:
    """A thread with files and a sandbox: the store and the sessions of its interpreter, as far as that asks them.

    Time passes only when a test says so.
    """

    def __init__(self, folder: Path) -> None:
        self.time = 1000.0
        self.attached: list[str] = []
        self.kept: dict[str, tuple[bytes, str]] = {}
        self.state = RunState()
        self.session: Folder | None = None
        self.blobs = FolderBlobs(folder)
        self.interpreter = CodeInterpreter(self, self.blobs, self, new_id=ids.new_id)  # type: ignore[arg-type]

    def now(self) -> float:
        return self.time

    async def create(self, new: Any, *, reply: bytes) -> None:
        self.kept[new[0].id] = (reply, new[0].file.digest)

    async def find_file(self, file_id: str) -> tuple[bytes, str] | None:
        return self.kept.get(file_id)

    async def get(self, kind: str, identifier: str) -> bytes | None:
        resources = ToolResources(code_interpreter=CodeInterpreterResources(file_ids=self.attached))
        thread = Thread(id=identifier, created_at=0, tool_resources=resources)
        return msgspec.json.encode(thread) if kind == "thread" else None

    async def page(self, kind: str, **_: Any) -> Any:
        return SimpleNamespace(ids=["run_1"])

    async def change_run(self, run_id: str, change: Any, *, durable: bool) -> Any:
        return SimpleNamespace(row=SimpleNamespace(extra=msgspec.json.encode(self.state)))

    @asynccontextmanager
    async def use(self, thread_id: str) -> AsyncIterator[Any]:
        is_new, self.session = self.session is None, self.session or Folder()
        yield SimpleNamespace(session=self.session, is_new=is_new, was_lost=False)

    async def upload(self, name: str, content: bytes) -> str:
        async def parts() -> AsyncIterator[bytes]:
            yield content

        received = Received(await self.blobs.receive(parts(), limit_bytes=1000), None, 0)
        _, new = new_file(
            id=ids.new_id("file"),
            filename=name,
            purpose="assistants",
            received=received,
            created_at=int(self.time),
            expires_at=None,
        )
        await self.create([new], reply=new.document)
        return new.id

    async def attach(self, name: str, content: bytes) -> str:
        self.attached.append(await self.upload(name, content))
        return self.attached[-1]

    async def execute(self, code: str = "") -> tuple[str, dict[str, bytes]]:
        """Run code; return what the model reads, and what is in the folder then."""
        told = ""
        run: Any = SimpleNamespace(id="run_1", thread_id="thread_1", assistant_id="asst_1")
        async for made in self.interpreter.execute(run, code):
            told += "".join(each.logs for each in made.outputs if each.type == "logs")
            self.state = msgspec.structs.replace(self.state, files={**self.state.files, **made.files})
        assert self.session is not None
        return told, self.session.files


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("is_lost", [False, True])
async def test_what_is_attached_later_is_put_beside_what_code_wrote(world: World, is_lost: bool) -> None:
    await world.execute("result.csv=by code")
    world.time += 60
    if is_lost:
        world.session = None
    edited = await world.attach("result.csv", b"edited")
    there = {"result.csv": b"by code", f"{edited}-result.csv": b"edited"}
    assert await world.execute() == (
        f"[The attached file result.csv is {DATA}/{edited}-result.csv: code has written another result.csv.]\n",
        there,
    )
    assert await world.execute() == ("", there)
    world.session = None
    assert await world.execute() == ("", there)


async def test_what_was_uploaded_before_and_is_attached_later_stays_too(world: World) -> None:
    early = await world.upload("result.csv", b"early")
    await world.execute("result.csv=by code")
    world.attached.append(early)
    there = {"result.csv": b"by code", f"{early}-result.csv": b"early"}
    assert (await world.execute())[1] == there
    world.session = None
    assert await world.execute() == ("", there)


async def test_what_code_wrote_over_is_not_there_again_in_a_new_sandbox(world: World) -> None:
    await world.attach("data.csv", b"given")
    assert await world.execute("data.csv=by code") == ("", {"data.csv": b"by code"})
    world.time += 60
    world.session = None
    assert await world.execute() == ("", {"data.csv": b"by code"})
    assert await world.execute() == ("", {"data.csv": b"by code"})


@pytest.mark.parametrize("over", [0, 1])
async def test_of_two_files_of_one_name_code_writes_over_one(world: World, over: int) -> None:
    await world.attach("data.csv", b"one")
    second = await world.attach("data.csv", b"two")
    names = ["data.csv", f"{second}-data.csv"]
    assert await world.execute() == ("", dict(zip(names, (b"one", b"two"), strict=True)))
    await world.execute(f"{names[over]}=by code")
    world.session = None
    _, there = await world.execute()
    assert there == {names[over]: b"by code", names[1 - over]: (b"two", b"one")[over]}


async def test_a_file_that_is_gone_is_told_of(world: World) -> None:
    world.attached = ["file-none"]
    assert await world.execute() == ("[The file file-none could not be put into the sandbox.]\n", {})


async def test_a_session_that_cannot_be_ended_is_told_of_and_is_no_concern_of_who_deletes_the_thread(
    world: World,
) -> None:
    told: list[str] = []

    async def forget(thread_id: str) -> None:
        raise OSError("the sandbox is gone")

    world.forget = forget  # type: ignore[attr-defined]
    detach = telemetry.attach("sandbox.failure", lambda run_id, error: told.append(f"{run_id}: {error}"))
    try:
        await world.interpreter.forget("thread_1")
    finally:
        detach()
    assert told == ["thread_1: the sandbox is gone"]
