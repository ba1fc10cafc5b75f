"""A session: requests to a guest, and what to believe of its replies.

The guest can say anything at any time. What it says is counted, cut and matched with what it was asked; a deadline is
ours, not its. When it says what it may not, or more than it may, it is ended.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import hashlib
import itertools
import signal
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import msgspec

from .frames import (
    CHUNK_BYTES,
    ChunkReply,
    Execute,
    Failed,
    Finished,
    Found,
    FrameError,
    ImageReply,
    LogsReply,
    Preload,
    Put,
    Read,
    Reply,
)
from .guest import End, Guest
from .names import clean_file_name, clean_path
from .protocol import DATA, MIB, Done, Event, File, Image, Logs, SandboxError, SessionEnded, SessionSpec, Status

#: How long a guest has to answer to SIGINT before it is killed: longer than a busy machine leaves it without a core.
GRACE_S = 5.0
#: How long a file may take to come in or go out.
TRANSFER_S = 60.0
MAX_CODE_BYTES = MIB
#: An honest worker sends a few thousand frames in the longest execution; a flood would keep our loop from others.
MAX_FRAMES = 10_000
#: After so many frames others get their turn.
FRAMES_A_TURN = 32
BEGINNINGS = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff"}


class GuestSession:
    """See `protocol.Session`."""

    def __init__(self, guest: Guest, spec: SessionSpec, *, on_end: Callable[[], None] = lambda: None) -> None:
        self._guest = guest
        self._spec = spec
        self._on_end = on_end
        self._ids = itertools.count(1)
        self._execution: Execution | None = None
        self._end: End | None = None
        self._is_closing = False

    @property
    def is_alive(self) -> bool:
        return self._end is None and not self._is_closing

    async def preload(self) -> None:
        """Import what the spec wants imported; the session rests afterwards.

        Raises:
            SessionEnded: It did not survive that.
        """
        await self._ask(Preload(next(self._ids), self._spec.preload))
        await self._settle()

    async def put(self, name: str, chunks: AsyncIterator[bytes]) -> str:
        """Write a file under ``/mnt/data``. See `protocol.Session.put`."""
        name = clean_file_name(name)
        request, size = Put(next(self._ids), name, first=True, last=False), 0
        async for chunk in chunks:
            size += len(chunk)
            if size > self._spec.file_bytes:
                await self._ask(Put(request.id, name, first=True, last=True))  # nothing of it stays
                raise SandboxError(f"{name} is larger than {self._spec.file_bytes // MIB} MiB.")
            for start in range(0, len(chunk), CHUNK_BYTES):
                await self._ask(request, memoryview(chunk)[start : start + CHUNK_BYTES])
                request = msgspec.structs.replace(request, first=False)
        await self._ask(msgspec.structs.replace(request, last=True))
        await self._settle()
        return f"{DATA}/{name}"

    async def execute(self, code: str, *, timeout_s: float | None = None) -> AsyncIterator[Event]:
        """Run code. See `protocol.Session.execute`."""
        if not self.is_alive:
            raise SessionEnded("The session is closed.")
        source = code.encode("utf-8", "replace")
        if len(source) > MAX_CODE_BYTES:
            raise SandboxError(f"The code is longer than {MAX_CODE_BYTES // MIB} MiB.")
        limit_s = min(timeout_s or self._spec.exec_timeout_s, self._spec.exec_timeout_s)
        execution = self._execution = Execution(self._guest, self._spec, next(self._ids), limit_s)
        found: list[Found] = []
        try:
            await self._guest.rest(False)
            async with contextlib.aclosing(execution.run(source)) as events:
                async for event in events:
                    if isinstance(event, Found):
                        found.append(event)
                    else:
                        yield event
            await self._guest.rest(True)  # a disk that is too full is found before anything on it is told of
            for each in found:
                yield File(clean_path(each.name), each.size, each.sha256, lambda each=each: self._read(each))  # type: ignore[misc]
            if self.is_alive:
                await self._guest.rest(True)
        except (EOFError, FrameError) as error:
            execution.breaks(error)
        finally:
            await execution.ends()
            self._execution = None
            if not execution.is_finished:
                await self.close()
        yield execution.done(self._end)

    async def interrupt(self) -> bool:
        """Stop what is executing. See `protocol.Session.interrupt`."""
        if self._execution is None or self._execution.is_finished:
            return False
        await self._execution.stop("interrupted")
        return True

    async def close(self) -> None:
        """End the session. See `protocol.Session.close`."""
        is_first, self._is_closing = not self._is_closing, True
        self._end = await self._guest.kill()
        if is_first:
            self._on_end()

    async def _settle(self) -> None:
        """Let the guest rest after a request that is no execution."""
        try:
            await self._guest.rest(True)
        except EOFError as error:
            await self.close()
            raise SessionEnded("The session ended: its files are more than it may have.") from error

    async def _read(self, found: Found) -> AsyncIterator[bytes]:
        """Read a file that was found, and see that it is what was said."""
        size, digest = 0, hashlib.sha256()
        async with contextlib.aclosing(self._talk(Read(next(self._ids), found.name))) as replies:
            async for reply, body in replies:
                if isinstance(reply, ChunkReply):
                    size += len(body)
                    if size > min(found.size, self._spec.file_bytes):
                        await self.close()
                        raise SandboxError(f"{clean_path(found.name)} grew while it was read.")
                    digest.update(body)
                    yield body
        if digest.hexdigest() != found.sha256:
            raise SandboxError(f"{clean_path(found.name)} changed while it was read.")

    async def _ask(self, request: Put | Preload, body: bytes | memoryview = b"") -> None:
        async for _ in self._talk(request, body):
            pass

    async def _talk(
        self, request: Put | Read | Preload, body: bytes | memoryview = b""
    ) -> AsyncGenerator[tuple[Reply, bytes]]:
        """Send a request and return what is said to it, up to its end.

        Raises:
            SandboxError: It could not be done.
            SessionEnded: The guest is gone, or was ended because it did not keep to the rules.
        """
        if not self.is_alive:
            raise SessionEnded("The session is closed.")
        try:
            async with asyncio.timeout(TRANSFER_S):
                await self._guest.rest(False)
                await self._guest.send(request, body)
            for _ in range(MAX_FRAMES):
                async with asyncio.timeout(TRANSFER_S):
                    reply, body = await self._guest.receive()
                match reply:
                    case Finished(id=request.id):
                        return
                    case Failed(id=request.id, message=message):
                        raise SandboxError(clean_file_name(message))
                    case LogsReply() | Finished() | Found() | ImageReply():
                        continue  # a thread that a cell left behind
                    case _:
                        yield reply, body
            raise FrameError("too many frames")
        except (EOFError, FrameError, TimeoutError) as error:
            await self.close()
            raise SessionEnded("The session ended.") from error


class Execution:
    """One cell: its budget, its deadline, and how it ended."""

    def __init__(self, guest: Guest, spec: SessionSpec, id: int, limit_s: float) -> None:
        self._guest = guest
        self._spec = spec
        self._id = id
        self._limit_s = limit_s
        self._started = time.monotonic()
        self._timer: asyncio.Task[None] | None = None
        self._stopped: Status | None = None
        self._finished: Finished | None = None
        self._broken = ""
        self._output_left = spec.output_bytes
        self._images_left = spec.max_images
        self._files_left = spec.max_reported_files
        self._is_truncated = False
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}

    @property
    def is_finished(self) -> bool:
        """Whether the guest said that the cell ended, in time and in form."""
        return self._finished is not None

    async def run(self, source: bytes) -> AsyncGenerator[Logs | Image | Found]:
        """Send the cell and return what comes of it.

        Raises:
            EOFError: The guest is gone, or did not stop when it was told to.
            FrameError: It said what it may not say.
        """
        self._timer = asyncio.ensure_future(self._expire(self._limit_s))
        await self._guest.send(Execute(self._id), source)
        for count in range(MAX_FRAMES):
            if count % FRAMES_A_TURN == 0:
                await asyncio.sleep(0)
            reply, body = await self._guest.receive()
            if reply.id < self._id and isinstance(reply, LogsReply | ImageReply):
                continue  # of a thread that an earlier cell left behind
            if reply.id != self._id:
                raise FrameError(f"a reply to request {reply.id}")
            event: Logs | Image | Found | None = None
            match reply:
                case Finished():
                    self._finished = reply
                    return
                case LogsReply():
                    event = self._logs(reply, body)
                case ImageReply():
                    event = self._image(reply, body)
                case Found():
                    event = self._found(reply)
                case _:
                    raise FrameError(f"a {type(reply).__name__} from a cell")
            if event is not None:
                yield event
        raise FrameError("too many frames")

    async def stop(self, why: Status) -> None:
        """Ask the cell to stop; it has `GRACE_S` for that."""
        if self._stopped is None:
            self._stopped = why
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.ensure_future(self._insist())

    async def _expire(self, seconds: float) -> None:
        """Let the cell run for so long, then stop it."""
        await asyncio.sleep(seconds)
        self._stopped = "timeout"
        await self._insist()

    async def _insist(self) -> None:
        await self._guest.interrupt()
        await asyncio.sleep(GRACE_S)
        await self._guest.kill()

    async def ends(self) -> None:
        """Let go of the deadline."""
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.wait({self._timer})

    def breaks(self, error: Exception) -> None:
        """Remember why the guest is ended, also when it said before that the cell was done."""
        self._finished = None
        if isinstance(error, FrameError):
            self._broken = str(error)

    def _logs(self, reply: LogsReply, body: bytes) -> Logs | None:
        kept = body[: self._output_left]
        self._output_left -= len(kept)
        self._is_truncated |= len(kept) < len(body)
        decoder = self._decoders.setdefault(reply.stream, codecs.getincrementaldecoder("utf-8")("replace"))
        text = decoder.decode(kept)
        return Logs(text, reply.stream) if text else None

    def _image(self, reply: ImageReply, body: bytes) -> Image | None:
        if not body.startswith(BEGINNINGS[reply.format]) or len(body) > self._spec.image_bytes or not self._images_left:
            self._is_truncated = True
            return None
        self._images_left -= 1
        return Image(reply.format, body)

    def _found(self, reply: Found) -> Found | None:
        if not self._files_left or reply.size > self._spec.file_bytes or clean_path(reply.name) == DATA:
            self._is_truncated = True
            return None
        self._files_left -= 1
        return reply

    def done(self, end: End | None) -> Done:
        """Say how it ended; ``end`` is how the process did, if it did."""
        status, message = self._outcome(end)
        return Done(
            status=status,
            duration_ms=round((time.monotonic() - self._started) * 1000),
            is_truncated=self._is_truncated or (self._finished is not None and self._finished.is_truncated),
            is_alive=end is None,
            message=message if end is None else f"{message} {RESET}".strip(),
        )

    def _outcome(self, end: End | None) -> tuple[Status, str]:
        if end is not None and end.reason == "disk":
            return (
                "killed",
                f"The files grew beyond {self._spec.disk_bytes // MIB} MiB or {self._spec.max_files} files.",
            )
        if end is not None and end.reason == "oom":
            return "oom", "The memory was used up."
        if self._finished is not None:
            if self._stopped is not None and self._finished.status != "ok":
                return self._stopped, STOPPED[self._stopped].format(self._limit_s)
            return self._finished.status, ""
        if self._broken:
            return "killed", f"The execution was ended: {self._broken}."
        if self._stopped is not None:
            return self._stopped, STOPPED[self._stopped].format(self._limit_s)
        return "crashed", f"Python ended{_how(end)}."


RESET = "The session was reset: variables and unsaved files are gone."
STOPPED = {
    "timeout": "The execution was stopped after {:g} seconds.",
    "interrupted": "The execution was cancelled.",
}


def _how(end: End | None) -> str:
    if end is None:
        return ""
    if end.reason == "signalled":
        try:
            return f" by {signal.Signals(end.number).name}"
        except ValueError:
            return f" by signal {end.number}"
    return f" with exit status {end.number}"
