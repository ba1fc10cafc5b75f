"""How executions and sessions end when somebody else ends them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.tools.code_interpreter.arena import SPEC, Arena, chunks, has_ended, is_gone, run, worker_of

from holdover.tools.code_interpreter import session as sessions
from holdover.tools.code_interpreter.protocol import Done, Logs, SandboxError, SessionEnded

on_a_jail = pytest.mark.asyncio(loop_scope="module")

#: A server that runs code in a jail and does not come back.
SERVER = """
import asyncio, sys
from holdover.tools.code_interpreter.protocol import Logs
from tests.tools.code_interpreter.arena import PRELUDE, SPEC, make, worker_of

async def main():
    session = await make(sys.argv[1], sys.argv[2]).open(SPEC)
    code = '''
import ctypes, signal
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
for each in range(1, 65):
    try: signal.signal(each, signal.SIG_IGN)
    except (OSError, ValueError): pass
print("running")
import time
time.sleep(0.2)
print("still")
while True: pass
'''
    async for event in session.execute(code):
        if isinstance(event, Logs):
            print(worker_of(session), flush=True)

asyncio.run(main())
"""


@on_a_jail
async def test_a_killed_server_leaves_no_process(arena: Arena, tmp_path: Path) -> None:
    """Also where the code would not die with it: it asked the kernel not to be told, and ignores every signal."""
    server = subprocess.Popen(  # noqa: ASYNC220 - it is read from in a thread
        [sys.executable, "-c", SERVER, arena.name, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": os.pathsep.join([".", *sys.path])},
    )
    assert server.stdout is not None
    with server.stdout:
        worker = int(await asyncio.to_thread(server.stdout.readline))
        assert not is_gone(worker)
        server.send_signal(signal.SIGKILL)
        server.wait()
        deadline = time.monotonic() + 2
        while not has_ended(worker) and time.monotonic() < deadline:
            await asyncio.sleep(0)
    assert has_ended(worker)


@on_a_jail
async def test_an_interrupted_cell_keeps_its_variables(arena: Arena) -> None:
    session = await arena.open()
    await run(session, "kept = 7")
    assert not await session.interrupt(), "nothing runs"
    said, done = "", None
    async for event in session.execute(
        "print('begun', flush=True)\nimport time\ntime.sleep(0.1); print()\ntime.sleep(60)"
    ):
        if isinstance(event, Logs):
            said += event.text
            assert await session.interrupt()
        elif isinstance(event, Done):
            done = event
    assert said.startswith("begun")
    assert done is not None
    assert (done.status, done.is_alive) == ("interrupted", True)
    assert (await run(session, "kept")).text == "7\n"
    await session.close()


@on_a_jail
async def test_an_interrupted_cell_that_goes_on_is_killed(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "GRACE_S", 0.2)
    session = await arena.open()
    done = None
    code = "import signal, time\nsignal.signal(2, signal.SIG_IGN)\nprint('x' * 9000)\nwhile True: time.sleep(0.01)"
    async for event in session.execute(code):
        if isinstance(event, Logs):
            await session.interrupt()
        elif isinstance(event, Done):
            done = event
    assert done is not None
    assert (done.status, done.is_alive) == ("interrupted", False)
    assert is_gone(worker_of(session))


@on_a_jail
async def test_whoever_stops_listening_ends_the_session(arena: Arena) -> None:
    session = await arena.open()
    events = session.execute("print('x' * 9000)\nwhile True: pass")
    await anext(events)
    await events.aclose()
    assert not session.is_alive
    assert is_gone(worker_of(session))


@on_a_jail
async def test_a_task_that_is_cancelled_ends_the_session(arena: Arena) -> None:
    session = await arena.open()
    begun = asyncio.Event()

    async def execute() -> None:
        async for _ in session.execute("print('x' * 9000)\nwhile True: pass"):
            begun.set()

    task = asyncio.create_task(execute())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_gone(worker_of(session))


@on_a_jail
async def test_a_session_that_is_closed_while_it_runs_says_that_it_ended(arena: Arena) -> None:
    session = await arena.open()
    done = None
    async for event in session.execute("print('x' * 9000)\nwhile True: pass"):
        if isinstance(event, Logs):
            await session.close()
        elif isinstance(event, Done):
            done = event
    assert done is not None
    assert not done.is_alive


@on_a_jail
async def test_a_closed_session_takes_nothing(arena: Arena) -> None:
    session = await arena.open()
    await session.close()
    await session.close()
    with pytest.raises(SessionEnded):
        await run(session, "1 + 1")
    with pytest.raises(SessionEnded):
        await session.put("x", chunks(b"x"))


@on_a_jail
async def test_an_opening_that_is_cancelled_leaves_no_process(arena: Arena) -> None:
    def children() -> set[str]:
        found = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        return set(found.split())

    before = children()
    for turns in (1, 3, 6, 20):
        task = asyncio.create_task(arena.jail.open(SPEC))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await (await task).close()
    deadline = time.monotonic() + 5
    while children() - before and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert children() <= before


@on_a_jail
async def test_code_that_is_too_long_is_refused_and_the_session_goes_on(arena: Arena) -> None:
    session = await arena.open()
    with pytest.raises(SandboxError, match="longer than 1 MiB"):
        await run(session, "#" * (1 << 21))
    assert (await run(session, "1 + 1")).text == "2\n"
    await session.close()
