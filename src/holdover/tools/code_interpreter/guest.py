"""A worker behind its wall, wherever that is: what a session needs of a process."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from .frames import Reply, Request


class End(msgspec.Struct, frozen=True):
    """How a guest's process ended; ``number`` is its exit status or the signal's number."""

    reason: Literal["exited", "signalled", "oom", "disk"]
    number: int = 0


class Guest(Protocol):
    """A started worker that has said that it is ready."""

    async def send(self, request: Request, body: bytes | memoryview = b"") -> None:
        """Send a request.

        Raises:
            EOFError: The process is gone.
        """

    async def receive(self) -> tuple[Reply, bytes]:
        """Return the next reply and its body.

        Raises:
            EOFError: The process is gone.
            FrameError: What came is no reply.
        """

    async def interrupt(self) -> None:
        """Send SIGINT to the worker."""

    async def rest(self, is_resting: bool) -> None:
        """Stop the process, threads that a cell left behind too, or let it go on.

        Raises:
            EOFError: It has more than it may, and is ended.
        """

    async def kill(self) -> End:
        """End the whole tree of processes, wait for it, and say how it ended. Safe to call twice."""
