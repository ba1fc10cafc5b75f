"""A worker in a process of this machine: starting it, seeing from outside that its walls stand, and ending it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import Protocol

import msgspec

from . import frames
from .confinement import Setup
from .frames import FrameError, Reply, Request
from .guest import End
from .protocol import SandboxError

#: From starting a process to its first word; a machine under load takes its time.
START_S = 20.0
#: How long a killed process may take to be gone.
END_S = 10.0
#: The stream stops reading from the pipe above twice this: a flood waits in the guest, not here.
BUFFER_BYTES = 256 * 1024


class Watch(Protocol):
    """Looks after a process while it runs: a limit on its files, a control group."""

    async def begin(self, process_id: int) -> None:
        """Take a process over before it knows what it will do."""

    def rest(self, is_resting: bool) -> None:
        """Know that the process stands still, or goes on."""

    async def end(self) -> End | None:
        """Clear away what is left of it; say how it ended where the process itself cannot know."""


class LocalGuest:
    """See `guest.Guest`.

    Args:
        process: What was started: the worker, or what keeps its namespaces.
        worker_id: The worker's process, as this machine numbers it.
    """

    def __init__(self, process: asyncio.subprocess.Process, worker_id: int, watches: tuple[Watch, ...]) -> None:
        self._process = process
        self.worker_id = worker_id
        self._worker = os.pidfd_open(worker_id)
        self._watches = watches
        self._is_resting = False
        self._end: End | None = None
        self._ending = asyncio.Lock()

    async def begin(self, setup: Setup, walls: Walls) -> None:
        """Tell the worker to lock itself in, wait until it says so, and see that it has; else end it.

        Raises:
            SandboxError: It has not.
        """
        try:
            await self._begin(setup)
            walls.check(self.worker_id)
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(self.kill()))
            raise

    async def _begin(self, setup: Setup) -> None:
        try:
            for watch in self._watches:
                await watch.begin(self.worker_id)
            async with asyncio.timeout(START_S):
                await self._write(frames.encode(setup))
                reply, _ = await self.receive()
            if not isinstance(reply, frames.Ready):
                raise FrameError("it did not say that it is ready")
        except (EOFError, FrameError, TimeoutError, OSError) as error:
            raise SandboxError(f"The sandbox did not start: {await self._complaint()}") from error

    async def _complaint(self) -> str:
        """Return what a process that did not start said last."""
        await self.kill()
        assert self._process.stderr is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                said = (await self._process.stderr.read(4096)).decode("utf-8", "replace").strip()
                return said.rpartition("\n")[2] or "it gave no sign"
        return "it gave no sign"

    async def send(self, request: Request, body: bytes | memoryview = b"") -> None:
        await self._write(frames.encode(request, body))

    async def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except (ConnectionError, RuntimeError) as error:
            raise EOFError from error

    async def receive(self) -> tuple[Reply, bytes]:
        assert self._process.stdout is not None
        head, body = await frames.receive(self._process.stdout)
        return frames.decode_reply(head), body

    async def interrupt(self) -> None:
        self._signal(signal.SIGINT)

    async def rest(self, is_resting: bool) -> None:
        if is_resting == self._is_resting:
            return
        self._is_resting = is_resting
        for watch in self._watches:
            watch.rest(is_resting)
        self._signal(signal.SIGSTOP if is_resting else signal.SIGCONT)

    async def kill(self) -> End:
        async with self._ending:
            if self._end is None:
                self._end = await self._kill()
        return self._end

    async def _kill(self) -> End:
        # Whoever has ended already keeps its own status.
        self._signal(signal.SIGKILL)
        if not await self._wait(END_S):
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._wait(END_S)
        os.close(self._worker)
        assert self._process.stdin is not None
        self._process.stdin.close()
        ends = [await watch.end() for watch in self._watches]
        return next((end for end in ends if end is not None), _end_of(self._process.returncode))

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._worker, number)

    async def _wait(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._process.wait()
        return self._process.returncode is not None


def _end_of(status: int | None) -> End:
    if status is None:
        return End("signalled", signal.SIGKILL)
    if status < 0:
        return End("signalled", -status)
    # What keeps the namespaces ends as a shell would: with 128 and the signal of the process inside.
    return End("signalled", status - 128) if status > 128 else End("exited", status)


async def start(arguments: list[str], *, pass_fds: tuple[int, ...] = ()) -> asyncio.subprocess.Process:
    """Start a process with an empty environment, three pipes, and nothing of ours but ``pass_fds``.

    It is started from the loop's own thread: it dies with the thread that it came from.

    Raises:
        SandboxError: There is no such program, or no process to be had.
    """
    try:
        return await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={},
            cwd="/",
            start_new_session=True,
            close_fds=True,
            pass_fds=pass_fds,
            limit=BUFFER_BYTES,
        )
    except OSError as error:
        raise SandboxError(f"The sandbox could not be started: {error.strerror}.") from error


class Walls(msgspec.Struct, frozen=True):
    """What must be true of a worker, seen from outside."""

    uid: int
    namespaces: tuple[str, ...] = ()

    def check(self, worker_id: int) -> None:
        """Look at a worker.

        Raises:
            SandboxError: It is not as closed as it must be.
        """
        try:
            self._check(worker_id)
        except (OSError, KeyError) as error:
            raise SandboxError("The sandbox is not closed: its process cannot be looked at.") from error

    def _check(self, worker_id: int) -> None:
        seen = _status(worker_id)
        wanted = {"NoNewPrivs": "1", "Seccomp": "2", "CapEff": "0" * 16, "CapPrm": "0" * 16, "CapAmb": "0" * 16}
        for name, value in wanted.items():
            if seen.get(name) != value:
                raise SandboxError(f"The sandbox is not closed: {name} is {seen.get(name)} and must be {value}.")
        if set(seen["Uid"].split()) != {str(self.uid)}:
            raise SandboxError(f"The sandbox is not closed: it runs as {seen['Uid'].split()[0]}, not {self.uid}.")
        for name in self.namespaces:
            if os.readlink(f"/proc/{worker_id}/ns/{name}") == os.readlink(f"/proc/self/ns/{name}"):
                raise SandboxError(f"The sandbox is not closed: it shares our {name} namespace.")


def _status(process_id: int) -> dict[str, str]:
    with open(f"/proc/{process_id}/status") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}
