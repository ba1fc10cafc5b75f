"""A sandbox elsewhere: the same frames through a socket, to a runner that trusts nobody without the secret."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.tools.code_interpreter.arena import JAILS, SPEC, chunks, is_gone, make, report, run

from holdover.tools.code_interpreter import frames
from holdover.tools.code_interpreter import session as sessions
from holdover.tools.code_interpreter.frames import Challenge, Ended, Open
from holdover.tools.code_interpreter.protocol import Done, Logs, SandboxError
from holdover.tools.code_interpreter.remote import RemoteSandbox, Runner, parse_address

SECRET = "the secret that both of them know"


class Counting:
    """A jail that remembers its workers."""

    def __init__(self, jail: Any) -> None:
        self.level = jail.level
        self._jail = jail
        self.workers: list[int] = []

    async def start(self, spec: Any) -> Any:
        guest = await self._jail.start(spec)
        self.workers.append(guest.worker_id)
        return guest


@pytest.fixture
async def jail(tmp_path: Path) -> Counting:
    for name in JAILS:
        found = await report(name, str(tmp_path))
        if found.passed:
            return Counting(make(name, str(tmp_path / "sessions")))
    pytest.skip("no jail passes its self-test here")


@pytest.fixture(params=["unix", "tcp"])
async def address(request: pytest.FixtureRequest, tmp_path: Path, jail: Counting) -> AsyncIterator[str]:
    runner = Runner(jail, SECRET, max_sessions=2)
    async with await runner.serve(f"unix:{tmp_path}/s" if request.param == "unix" else "127.0.0.1:0") as server:
        if request.param == "unix":
            yield f"unix:{tmp_path}/s"
        else:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await runner.close()
    assert all(is_gone(each) for each in jail.workers)


async def test_it_passes_the_same_self_test(address: str) -> None:
    sandbox = RemoteSandbox(address, SECRET)
    found = await sandbox.probe()
    assert found.passed, found.failure
    assert found.level == sandbox.level


async def test_it_does_what_a_local_one_does(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    session = await RemoteSandbox(address, SECRET).open(SPEC)
    assert await session.put("a.txt", chunks(b"hello")) == "/mnt/data/a.txt"
    outcome = await run(
        session, "kept = open('/mnt/data/a.txt').read()\nopen('b.bin', 'wb').write(bytes(3 << 20))\nkept"
    )
    assert outcome.text == "'hello'\n"
    assert outcome.files == {"/mnt/data/b.bin": bytes(3 << 20)}
    assert (await run(session, "while True: pass", timeout_s=0.2)).status == "timeout"
    assert (await run(session, "kept")).text == "'hello'\n"
    monkeypatch.setattr(sessions, "GRACE_S", 0.2)
    outcome = await run(session, "import signal\nsignal.signal(2, signal.SIG_IGN)\nwhile True: pass", timeout_s=0.2)
    assert outcome.status == "timeout"
    assert not session.is_alive


async def test_a_crash_there_is_told_here(address: str) -> None:
    session = await RemoteSandbox(address, SECRET).open(SPEC)
    outcome = await run(session, "import ctypes; ctypes.string_at(0)")
    assert outcome.status == "crashed"
    assert "SIGSEGV" in str(outcome.done)


async def test_an_interrupt_reaches_it(address: str) -> None:
    session = await RemoteSandbox(address, SECRET).open(SPEC)
    done = None
    async for event in session.execute("print('x' * 9000)\nimport time\ntime.sleep(60)"):
        if isinstance(event, Logs):
            await session.interrupt()
        elif isinstance(event, Done):
            done = event
    assert done is not None
    assert (done.status, done.is_alive) == ("interrupted", True)
    await session.close()


async def test_closing_waits_until_the_process_is_gone(address: str, jail: Counting) -> None:
    session = await RemoteSandbox(address, SECRET).open(SPEC)
    assert not is_gone(jail.workers[-1])
    await session.close()
    assert is_gone(jail.workers[-1])


async def test_a_guest_cannot_speak_for_its_runner(address: str) -> None:
    session = await RemoteSandbox(address, SECRET).open(SPEC)
    outcome = await run(
        session,
        """
        import json, os, struct
        head = json.dumps({"type": "ended", "reason": "oom"}).encode()
        os.write(4, struct.pack(">II", 4 + len(head), len(head)) + head)
        """,
    )
    assert outcome.status != "oom"
    assert not session.is_alive


async def test_without_the_secret_nothing_runs(address: str, jail: Counting) -> None:
    with pytest.raises(SandboxError, match="the secret is another one"):
        await RemoteSandbox(address, "another secret altogether").open(SPEC)
    assert jail.workers == []
    assert not (await RemoteSandbox(address, "another secret altogether").probe()).passed


async def test_there_are_no_more_sessions_than_may_be(address: str) -> None:
    sandbox = RemoteSandbox(address, SECRET)
    opened = [await sandbox.open(SPEC) for _ in range(2)]
    with pytest.raises(SandboxError, match="there are 2 sessions already"):
        await sandbox.open(SPEC)
    await opened[0].close()
    opened[0] = await sandbox.open(SPEC)
    for each in opened:
        await each.close()


async def test_a_runner_that_does_not_know_the_secret_gets_no_code(tmp_path: Path) -> None:
    async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frames.encode(Challenge("0" * 64, "vm")))
        head, _ = await frames.receive(reader)
        assert isinstance(frames.decode_to_runner(head), Open)
        writer.write(frames.encode(frames.Accepted("0" * 64)))
        assert await reader.read() == b""
        writer.close()

    async with await asyncio.start_unix_server(impostor, tmp_path / "s"):
        with pytest.raises(SandboxError, match="does not know the secret"):
            await RemoteSandbox(f"unix:{tmp_path}/s", SECRET).open(SPEC)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", frames.encode(Ended("oom"))])
async def test_what_is_no_runner_is_told(tmp_path: Path, said: bytes) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    async with await asyncio.start_unix_server(other, tmp_path / "s"):
        with pytest.raises(SandboxError, match=r"cannot be reached|no runner"):
            await RemoteSandbox(f"unix:{tmp_path}/s", SECRET).open(SPEC)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(SandboxError, match="at least 16 characters"):
        RemoteSandbox("unix:/run/s", "short")


@pytest.mark.parametrize("address", ["", "nonsense", "host:", ":80", "host:99999"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(SandboxError, match="no address of a sandbox"):
        parse_address(address)
