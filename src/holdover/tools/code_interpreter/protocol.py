"""What a sandbox is asked, and what it answers: `SandboxBackend` opens a `Session`, and a session executes code.

Nothing here knows how a jail is built. A backend of your own implements these two protocols; see
docs/how-to/isolate-code.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Literal, Protocol, get_args

import msgspec

MIB = 1024 * 1024

#: How strong the walls are, the weakest first: `choose` compares them.
Level = Literal["landlock", "wasm", "namespaces", "gvisor", "vm"]
LEVELS: tuple[Level, ...] = get_args(Level)

#: What cells see as the folder of files; `File.path` begins with it wherever the files really are.
DATA = "/mnt/data"


class SessionSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What one session may use.

    Attributes:
        memory_bytes: Address space of the process, which is all there is: it cannot have children.
        disk_bytes: All its files together, temporary ones too.
        max_files: Files and folders together.
        file_bytes: One file.
        output_bytes: Logs of one execution; what goes beyond is cut.
        image_bytes: One image.
        max_images: Images of one execution; more are dropped.
        max_reported_files: New or changed files that are told of after one execution.
        max_threads: Threads, where the kernel counts them for the session alone.
        exec_timeout_s: The longest execution that is let run.
        preload: Modules that are imported before the first execution.
    """

    memory_bytes: int = 4096 * MIB
    disk_bytes: int = 512 * MIB
    max_files: int = 2000
    file_bytes: int = 128 * MIB
    output_bytes: int = MIB
    image_bytes: int = 6 * MIB
    max_images: int = 20
    max_reported_files: int = 100
    max_threads: int = 64
    exec_timeout_s: float = 120.0
    preload: tuple[str, ...] = ()


# --------------------------------------------------------------------------------------------- events


class Logs(msgspec.Struct, frozen=True, tag="logs"):
    """A piece of what the code printed; ``result`` is the echo of the last expression."""

    text: str
    stream: Literal["stdout", "stderr", "result"]


class Image(msgspec.Struct, frozen=True, tag="image"):
    """A figure. The bytes begin as their format does; nobody has decoded them."""

    format: Literal["png", "jpeg"]
    data: bytes


class File(msgspec.Struct, frozen=True, tag="file"):
    """A file that is new or changed.

    Attributes:
        path: How the code knows it, under ``/mnt/data``, cleaned of what could mislead a reader.
        size: Bytes, as the session says.
        sha256: In hexadecimal, as the session says; `chunks` checks it.
        chunks: Reads it, once or more, until the next event is asked for. It raises `SandboxError` when the file is
            no longer what was said.
    """

    path: str
    size: int
    sha256: str
    chunks: Callable[[], AsyncIterator[bytes]]


Status = Literal["ok", "error", "interrupted", "timeout", "oom", "killed", "crashed"]


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """The end of an execution, always the last event.

    Attributes:
        status: ``error``: the code raised, and its traceback is in the logs; ``killed``: it broke a limit that only
            ending it could hold (disk, a flood of output).
        duration_ms: From asking to this.
        is_truncated: Whether output, images or files beyond the limits were dropped.
        is_alive: Whether the session goes on with its variables; else it is closed.
        message: What to tell the model where the status alone does not; else empty.
    """

    status: Status
    duration_ms: int
    is_truncated: bool = False
    is_alive: bool = True
    message: str = ""


Event = Logs | Image | File | Done


# --------------------------------------------------------------------------------------------- errors


class SandboxError(Exception):
    """Something in the sandbox did not go as asked; the message is for the run's owner."""


class SessionEnded(SandboxError):
    """The session is closed: its process is gone, its variables with it."""


class SandboxUnavailable(SandboxError):
    """No sandbox can be used here; the message names the remedy."""


# ------------------------------------------------------------------------------------------- protocols


class Session(Protocol):
    """One Python that keeps its variables. One call at a time."""

    @property
    def is_alive(self) -> bool:
        """Whether it can execute."""

    async def put(self, name: str, chunks: AsyncIterator[bytes]) -> str:
        """Write a file under ``/mnt/data``; return the path that it has there, its name cleaned.

        Raises:
            SandboxError: It does not fit.
            SessionEnded: The session is closed.
        """

    def execute(self, code: str, *, timeout_s: float | None = None) -> AsyncIterator[Event]:
        """Run code; the last event is `Done`. Closing the iterator before that ends the session.

        Args:
            timeout_s: Seconds, up to the spec's ``exec_timeout_s``, which also holds where this is left out.

        Raises:
            SandboxError: The code is too long.
            SessionEnded: The session was closed before.
        """

    async def interrupt(self) -> bool:
        """Stop what is executing, keeping variables if the code lets us; ``False`` where nothing is."""

    async def close(self) -> None:
        """End every process of the session and wait until they are gone. Safe to call twice."""


class Check(msgspec.Struct, frozen=True):
    """One thing that a probe tried; ``detail`` says what happened where it is not as it should be."""

    name: str
    passed: bool
    detail: str = ""


class ProbeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend's self-test came to.

    Attributes:
        backend: Its name, as ``HOLDOVER_SANDBOX`` takes it.
        level: How strong its walls are.
        checks: What was tried, in order; it can be used when all of them passed and there is at least one.
        remedy: What to do where it cannot be used.
        notes: What is weaker here than elsewhere, in sentences.
    """

    backend: str
    level: Level
    checks: tuple[Check, ...]
    remedy: str = ""
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return bool(self.checks) and all(each.passed for each in self.checks)

    @property
    def failure(self) -> str:
        """What failed first, or nothing."""
        return next((f"{each.name}: {each.detail}" for each in self.checks if not each.passed), "")


class SandboxBackend(Protocol):
    """Opens sessions."""

    @property
    def name(self) -> str:
        """How ``HOLDOVER_SANDBOX`` calls it."""

    @property
    def level(self) -> Level:
        """How strong its walls are."""

    async def probe(self) -> ProbeReport:
        """Open a session and try to get out of it."""

    async def open(self, spec: SessionSpec) -> Session:
        """Start a session.

        Raises:
            SandboxError: It could not be started, or is not as closed as it must be.
        """
