"""Where attacks are made: a jail with a session that attacks, and another that must notice nothing."""

from __future__ import annotations

import os
import textwrap
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from holdover.tools.code_interpreter import environment
from holdover.tools.code_interpreter.jail import BubblewrapJail, LandlockJail
from holdover.tools.code_interpreter.protocol import (
    MIB,
    Done,
    File,
    Image,
    Logs,
    ProbeReport,
    SandboxError,
    Session,
    SessionSpec,
)

#: Small, so that no attack can hurt the machine that tests it.
SPEC = SessionSpec(
    memory_bytes=1024 * MIB,
    disk_bytes=16 * MIB,
    file_bytes=8 * MIB,
    max_files=200,
    max_images=5,
    output_bytes=64 * 1024,
    max_reported_files=10,
    max_threads=32,
    exec_timeout_s=20,
)
JAILS = {"namespaces": BubblewrapJail, "landlock": LandlockJail}

#: What attackers have at hand.
PRELUDE = """
import ctypes, errno, json, os, signal, stat, struct, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def pipes():
    "Return the descriptors of pipes that lead out, the one that is written last."
    found = []
    for descriptor in range(64):
        try:
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                found.append(descriptor)
        except OSError:
            pass
    return found
def frame(head, body=b""):
    head = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack(">II", 4 + len(head) + len(body), len(head)) + head + body
def write(data):
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(pipes()[-1], rest):]
"""


class Outcome(msgspec.Struct):
    """Everything that came of an execution."""

    text: str = ""
    images: list[bytes] = []
    files: dict[str, bytes | str] = {}
    done: Done | None = None

    @property
    def status(self) -> str:
        assert self.done is not None
        return self.done.status


async def run(session: Session, code: str, *, timeout_s: float | None = None) -> Outcome:
    """Execute code, and read every file that it leaves."""
    outcome = Outcome()
    async for event in session.execute(textwrap.dedent(code), timeout_s=timeout_s):
        assert outcome.done is None, "Done is the last event"
        match event:
            case Logs(text=text):
                outcome.text += text
            case Image(data=data):
                outcome.images.append(data)
            case File(path=path):
                outcome.files[path] = await _read(event)
            case Done():
                outcome.done = event
    assert outcome.done is not None
    assert outcome.done.is_alive == session.is_alive
    return outcome


async def _read(file: File) -> bytes | str:
    try:
        return b"".join([chunk async for chunk in file.chunks()])
    except SandboxError as error:
        return str(error)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def worker_of(session: Any) -> int:
    """The session's process, as this machine numbers it."""
    return int(session._guest.worker_id)


def is_gone(process_id: int) -> bool:
    return not os.path.exists(f"/proc/{process_id}")


def has_ended(process_id: int) -> bool:
    """Whether a process runs no more, though whoever inherited it may not have looked yet."""
    try:
        with open(f"/proc/{process_id}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def memory_bytes() -> int:
    """What this process, the server's stand-in, has in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


class Arena:
    """See the module."""

    def __init__(self, name: str, jail: Any) -> None:
        self.name = name
        self.jail = jail
        self._attacker: Session | None = None
        self._bystander: Session | None = None
        self._workers: list[int] = []

    async def open(self, spec: SessionSpec = SPEC) -> Any:
        session = await self.jail.open(spec)
        self._workers.append(worker_of(session))
        return session

    async def attacker(self) -> Any:
        """A session that is alive; tests of one module share it until it dies."""
        if self._attacker is None or not self._attacker.is_alive:
            self._attacker = await self.open()
            await run(self._attacker, PRELUDE)
        return self._attacker

    async def attack(self, code: str, *, timeout_s: float | None = None) -> Outcome:
        """Execute an attack, and see that nobody else was hurt by it."""
        if self._bystander is None:
            self._bystander = await self.open()
            await run(self._bystander, "kept = 'by the bystander'; open('/mnt/data/kept.txt', 'w').write(kept)")
        attacker = await self.attacker()
        before, started = memory_bytes(), time.monotonic()
        outcome = await run(attacker, code, timeout_s=timeout_s)
        assert time.monotonic() - started < 30
        assert memory_bytes() - before < 100 * MIB, "the server's memory stays flat"
        assert outcome.done is not None
        if not outcome.done.is_alive:
            assert is_gone(worker_of(attacker))
        seen = await run(self._bystander, "(kept, open('/mnt/data/kept.txt').read(), os.listdir('/mnt/data'))\n")
        assert "NameError" in seen.text  # the bystander never imported os: its own names are its own
        seen = await run(self._bystander, "import os as o; print(kept, o.listdir('/mnt/data')); del o")
        assert seen.text == "by the bystander ['kept.txt']\n"
        return outcome

    async def attempt(self, body: str, **told: object) -> str:
        """Try something that must fail: the body of a function whose answer is what it got hold of.

        Returns what stopped it: the exception's name, or ``"nothing"`` where it answered nothing.
        """
        given = "".join(f"{name} = {value!r}\n" for name, value in told.items())
        function = "def attempt():\n" + textwrap.indent(textwrap.dedent(body), "    ")
        outcome = await self.attack(f"{given}{function}{_TRY}")
        if outcome.done is not None and not outcome.done.is_alive:
            return outcome.status
        verdict, _, detail = outcome.text.strip().rpartition("\n")[2].partition(" ")
        assert verdict == "STOPPED", outcome.text
        return detail

    async def close(self) -> None:
        for session in (self._attacker, self._bystander):
            if session is not None:
                await session.close()
        left = [each for each in self._workers if not is_gone(each)]
        assert not left, "no process is left"


_TRY = """
try:
    got = attempt()
except BaseException as error:
    print("STOPPED", type(error).__name__)
else:
    print(f"GOT {got!r}" if got else "STOPPED nothing")
"""


def make(name: str, folder: str, *, with_packages: bool = False) -> Any:
    """Make a jail; its sessions have their files in a folder."""
    python = environment.find(folder) if with_packages else None
    if name == "landlock":
        return LandlockJail(python, folder=folder)
    return BubblewrapJail(python)


_reports: dict[str, ProbeReport] = {}


async def report(name: str, folder: str) -> ProbeReport:
    """What the jail's self-test comes to here; asked once."""
    if name not in _reports:
        _reports[name] = await make(name, folder).probe()
    return _reports[name]
