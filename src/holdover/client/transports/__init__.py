"""How requests travel: one small protocol, the only seam for tests and for embedding.

sockets.py   over the network, for sync clients
loops.py     over the network, for async clients
http1.py     what both of them send and read
httpx.py     through an ``httpx`` or ``httpx2`` client that the application has already
asgi.py      to an application in this process
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import msgspec


class Content(Protocol):
    """A body that is read while it is sent: ``length`` bytes. Each time that it is read, it begins anew."""

    @property
    def length(self) -> int: ...

    def blocks(self) -> Iterator[bytes]:
        """Give it block by block; what this raises is raised by who sends it."""


class Request(msgspec.Struct, frozen=True):
    """What is sent.

    ``timeout_s`` bounds the whole attempt, in seconds; of a stream, every silence. A `Content` may take as long as it
    takes: then it bounds the sending of each block, and the wait for the answer that follows.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | Content | None
    timeout_s: float


class Response(msgspec.Struct, frozen=True):
    """What came back. Names in ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class TransportFailure(Exception):
    """No answer came.

    Attributes:
        was_sent: Whether the request may have reached the service; ``False`` only where no connection was opened.
        timed_out: Whether time ran out.
        is_final: Whether no repetition can help.
    """

    def __init__(self, message: str, *, was_sent: bool, timed_out: bool = False, is_final: bool = False) -> None:
        super().__init__(message)
        self.was_sent = was_sent
        self.timed_out = timed_out
        self.is_final = is_final


class Incoming(Protocol):
    """An answer whose body is still to come. It is read by one thread at a time."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def read(self, timeout_s: float | None = None) -> bytes:
        """Return what came next of the body; nothing when it is whole.

        Raises:
            TransportFailure: It broke off, or nothing came for ``timeout_s`` (the request's).
        """

    def close(self) -> None:
        """Want no more of it; a connection that has more to say is closed.

        Another thread may be reading: its `read` ends or fails, as soon as that can be brought about.
        """


class Transport(Protocol):
    """Sends requests and waits for the answers."""

    def send(self, request: Request) -> Response:
        """Send a request.

        Raises:
            TransportFailure: No answer came.
        """

    def stream(self, request: Request) -> Incoming:
        """Send a request and wait for the head of the answer.

        Raises:
            TransportFailure: None came.
        """

    def close(self) -> None:
        """Close connections."""


class AsyncIncoming(Protocol):
    """The same for async clients."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    async def read(self, timeout_s: float | None = None) -> bytes:
        """Return what came next of the body; nothing when it is whole.

        Raises:
            TransportFailure: It broke off, or nothing came for ``timeout_s`` (the request's).
        """

    async def close(self) -> None:
        """Want no more of it; a connection that has more to say is closed. A task that is reading is not held up."""


class AsyncTransport(Protocol):
    """The same for async clients."""

    async def send(self, request: Request) -> Response:
        """Send a request.

        Raises:
            TransportFailure: No answer came.
        """

    async def stream(self, request: Request) -> AsyncIncoming:
        """Send a request and wait for the head of the answer.

        Raises:
            TransportFailure: None came.
        """

    async def close(self) -> None:
        """Close connections."""
