"""How requests travel: one small protocol, the only seam for tests and for embedding.

reqwest.py    over the network, by default (``pyreqwest``)
standard.py   over the network with the standard library alone, where ``pyreqwest`` cannot go: in forked processes
httpx.py      through an ``httpx`` or ``httpx2`` client that the application has already
asgi.py       to an application in this process
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

import msgspec


class Request(msgspec.Struct, frozen=True):
    """What is sent. ``timeout_s`` bounds the whole attempt, in seconds."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
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
    """

    def __init__(self, message: str, *, was_sent: bool, timed_out: bool = False) -> None:
        super().__init__(message)
        self.was_sent = was_sent
        self.timed_out = timed_out


class Transport(Protocol):
    """Sends requests and waits for the answers."""

    def send(self, request: Request) -> Response:
        """Send a request.

        Raises:
            TransportFailure: No answer came.
        """

    def close(self) -> None:
        """Close connections."""


class AsyncTransport(Protocol):
    """The same for async clients."""

    async def send(self, request: Request) -> Response:
        """Send a request.

        Raises:
            TransportFailure: No answer came.
        """

    async def close(self) -> None:
        """Close connections."""


_direct: dict[str, bool] = {}


def is_direct(url: str) -> bool:
    """Whether an address is this machine's, which no proxy in between could reach."""
    authority = url.split("/", 3)[2]
    direct = _direct.get(authority)
    if direct is None:
        host = urlsplit(url).hostname or ""
        direct = host in ("localhost", "::1") or host.startswith("127.")
        _direct[authority] = direct
    return direct
