"""A worker in a process of this machine: starting it, seeing from outside that its walls stand, and ending it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator
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

    async def rest(self, is_resting: bool) -> None:
        """Know that the process stands still, or goes on.

        Raises:
            EOFError: It has more than it may, and is ended.
        """

    async def end(self) -> End | None:
        """Clear away what is left of it; say how it ended where the process itself cannot know."""


class LocalGuest:
    """See `guest.Guest`.

    The process is waited for by a descriptor of it, in whatever loop and thread this is: nobody else's handling of
    children is in the way. Reading stops with the pipe's transport, not with the end of what a guest wrote.
    """

    def __init__(self, process: subprocess.Popen[bytes], watches: tuple[Watch, ...]) -> None:
        self._process = process
        self._watches = watches
        self._descriptor = os.pidfd_open(process.pid)
        self._worker = -1
        self.worker_id = 0
        self._reader = asyncio.StreamReader(limit=BUFFER_BYTES)
        self._reading: asyncio.ReadTransport | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._is_resting = False
        self._said = ""
        self._ending: asyncio.Task[End] | None = None

    @classmethod
    async def start(
        cls, arguments: list[str], watches: tuple[Watch, ...] = (), *, pass_fds: tuple[int, ...] = ()
    ) -> LocalGuest:
        """Start a process with an empty environment, three pipes, and nothing of ours but ``pass_fds``.

        It is started from the loop's own thread: it dies with the thread that it came from.

        Raises:
            SandboxError: There is no such program, or no process to be had.
        """
        try:
            process = subprocess.Popen(  # noqa: ASYNC220 - milliseconds, and it must be this thread
                arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env={},
                cwd="/",
                start_new_session=True,
                close_fds=True,
                pass_fds=pass_fds,
            )
        except OSError as error:
            raise SandboxError(f"The sandbox could not be started: {error.strerror}.") from error
        guest = cls(process, watches)
        async with ended_unless_it_begins(guest):
            await guest._connect()
        return guest

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        self._reading, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._reader), self._process.stdout
        )
        writing, protocol = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), self._process.stdin
        )
        self._writer = asyncio.StreamWriter(writing, protocol, None, loop)

    def adopt(self, worker_id: int) -> None:
        """Know the worker, where it is not the process that was started but one that this keeps.

        Raises:
            OSError: It is gone.
        """
        self._worker = os.pidfd_open(worker_id)
        self.worker_id = worker_id

    @property
    def process_id(self) -> int:
        """The process that was started."""
        return self._process.pid

    async def begin(self, setup: Setup, walls: Walls) -> None:
        """Tell the worker to lock itself in, wait until it says so, and see that it has.

        Raises:
            SandboxError: It has not.
        """
        try:
            for watch in self._watches:
                await watch.begin(self.worker_id)
            async with asyncio.timeout(START_S):
                await self._write(frames.encode(setup))
                reply, _ = await self.receive()
            if not isinstance(reply, frames.Ready):
                raise FrameError("it did not say that it is ready")
        except (EOFError, FrameError, TimeoutError, OSError) as error:
            raise SandboxError(await self.complaint()) from error
        walls.check(self.worker_id)

    async def complaint(self) -> str:
        """End a process that did not start, and return what it said last."""
        await self.kill()
        return f"The sandbox did not start: {self._said or 'it gave no sign'}."

    async def send(self, request: Request, body: bytes | memoryview = b"") -> None:
        await self._write(frames.encode(request, body))

    async def _write(self, data: bytes) -> None:
        assert self._writer is not None
        try:
            self._writer.write(data)
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            raise EOFError from error

    async def receive(self) -> tuple[Reply, bytes]:
        head, body = await frames.receive(self._reader)
        return frames.decode_reply(head), body

    async def interrupt(self) -> None:
        self._signal(signal.SIGINT)

    async def rest(self, is_resting: bool) -> None:
        if is_resting == self._is_resting:
            return
        self._is_resting = is_resting
        self._signal(signal.SIGSTOP if is_resting else signal.SIGCONT)
        for watch in self._watches:
            await watch.rest(is_resting)

    async def kill(self) -> End:
        # One task, whoever asks, and it goes on when whoever asked does not.
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._kill())
        return await asyncio.shield(self._ending)

    async def _kill(self) -> End:
        # Whoever has ended already keeps its own status.
        if self._worker >= 0:
            self._signal(signal.SIGKILL)
            await self._wait(END_S)
        if self._process.poll() is None:
            # What keeps namespaces may be half way through making them: then its child is of its group still.
            os.killpg(self._process.pid, signal.SIGKILL)
            await self._wait(END_S)
        assert self._process.stderr is not None
        os.set_blocking(self._process.stderr.fileno(), False)
        said = self._process.stderr.read(4096) or b""
        self._said = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
        if self._reading is not None:
            self._reading.close()
        if self._writer is not None and not self._writer.transport.is_closing():
            self._writer.transport.abort()
        self._reader.feed_eof()
        await asyncio.sleep(0)  # the transports let go of their pipes in the loop's next turn
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()
        for descriptor in {self._worker, self._descriptor} - {-1}:
            os.close(descriptor)
        self._worker = -1
        ends = [await watch.end() for watch in self._watches]
        return next((end for end in ends if end is not None), _end_of(self._process.returncode))

    def _signal(self, number: signal.Signals) -> None:
        if self._worker >= 0:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self._worker, number)

    async def _wait(self, seconds: float) -> None:
        """Wait until the process that was started is gone, and know its status."""
        loop, gone = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._descriptor, gone.set)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await gone.wait()
        finally:
            loop.remove_reader(self._descriptor)
        self._process.poll()


@contextlib.asynccontextmanager
async def ended_unless_it_begins(guest: LocalGuest) -> AsyncIterator[None]:
    """End a guest when something fails before it has begun, or when whoever wanted it does not wait."""
    try:
        yield
    except BaseException:
        await guest.kill()
        raise


def _end_of(status: int | None) -> End:
    if status is None:
        return End("signalled", signal.SIGKILL)
    if status < 0:
        return End("signalled", -status)
    # What keeps the namespaces ends as a shell would: with 128 and the signal of the process inside.
    return End("signalled", status - 128) if status > 128 else End("exited", status)


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
