"""Connections to endpoints of models: for a process, for runs and for what is passed through.

Runs ask through the transport that the client asks services with; the service hands it in, since a model knows nothing
of clients. Of all that was measured it costs the fewest microseconds a token. What is passed through is not read here,
may be as large as it likes both ways, and goes through ``aiohttp``.
"""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

from holdover.errors import ConfigurationError

#: Says which process asks, so that a service that is its own upstream finds out.
HOP_HEADER = "holdover-hop"
CONNECT_TIMEOUT_S = 10.0
#: What ``aiohttp`` would say of itself.
_AUTOMATIC = ("accept", "content-type", "user-agent")
_AT_ONCE_BYTES = 1024 * 1024
_LOOPBACK = ("localhost", "127.0.0.1", "::1", "0.0.0.0")


class Incoming(Protocol):
    """An answer whose body is still to come. Names in ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str]

    async def read(self, timeout_s: float | None = None) -> bytes:
        """Return what came next of the body; nothing when it is whole. ``timeout_s`` is the request's by default.

        Raises:
            OSError: It broke off.
            TimeoutError: The other side was silent for too long.
        """

    async def pour(self, sink: Callable[[bytes], bool]) -> bool:
        """Hand the body on as it comes, until ``sink`` returns ``False`` or raises; return whether there may be more.

        Raises:
            OSError: It broke off.
            TimeoutError: The other side was silent for too long.
        """

    async def close(self) -> None:
        """Want no more of it."""


class Transport(Protocol):
    """Sends requests of runs."""

    async def ask(self, url: str, *, headers: dict[str, str], body: bytes, timeout_s: float) -> Incoming:
        """POST a body and wait for the head of the answer; ``timeout_s`` is how long the other side may be silent.

        Raises:
            OSError: There is no connection, or it broke off.
            TimeoutError: The other side was silent.
        """

    async def close(self) -> None:
        """Close all connections."""


class Upstream:
    """Sends requests to endpoints, and knows this process by a name.

    Args:
        transport: What carries those of runs.
    """

    def __init__(self, transport: Transport) -> None:
        self.hop = os.urandom(8).hex()
        self._transport = transport
        self._session: Any = None

    def ask(self, url: str, *, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Awaitable[Incoming]:
        """POST a run's request. See `Transport.ask`."""
        told = {**headers, HOP_HEADER: self.hop, "accept-encoding": "identity", "user-agent": "holdover"}
        return self._transport.ask(url, headers=told, body=body, timeout_s=timeout_s)

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | io.BytesIO | AsyncIterator[bytes] | None,
        timeout_s: float,
        decompress: bool = True,
    ) -> AsyncIterator[Any]:
        """Send a request and give ``aiohttp``'s answer, whose content is read piece by piece.

        Args:
            timeout_s: How long the other side may be silent.
            decompress: Whether the content is given as it was before it was packed for the way; otherwise the address
                is encoded already, and nothing is added to the headers but this process's name.

        Raises:
            OSError: There is no connection, or it broke off.
            TimeoutError: The other side was silent.
        """
        import aiohttp
        from yarl import URL

        if self._session is None:
            self._session = aiohttp.ClientSession(
                trust_env=True,
                auto_decompress=False,
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT_S, connect=CONNECT_TIMEOUT_S, sock_read=timeout_s
        )
        if isinstance(body, bytes) and len(body) > _AT_ONCE_BYTES:
            body = io.BytesIO(body)  # written piece by piece
        before = headers.get(HOP_HEADER)
        sent = {**headers, HOP_HEADER: f"{before}, {self.hop}" if before else self.hop}
        if decompress:
            sent["accept-encoding"] = "identity"
        try:
            async with self._session.request(
                method,
                URL(url, encoded=not decompress),
                headers=sent,
                skip_auto_headers=() if decompress else _AUTOMATIC,
                data=body,
                timeout=timeout,
                allow_redirects=False,
            ) as answer:
                yield answer
        except aiohttp.ClientError as error:
            if isinstance(error, OSError | TimeoutError):
                raise
            raise ConnectionError(str(error)) from error

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()
        if self._session is not None:
            await self._session.close()
            self._session = None


def checked(url: str, *, host: str, port: int) -> str:
    """Return the address of an endpoint without its last slash.

    Args:
        host, port: Where this service itself listens.

    Raises:
        ConfigurationError: It is not an address, or it is this service's own.
    """
    try:
        parts = urlsplit(url)
        scheme, hostname, its_port = parts.scheme, parts.hostname, parts.port
    except ValueError:  # a port beyond the last, brackets without an end
        scheme, hostname, its_port = "", None, None
    if scheme not in ("http", "https") or not hostname:
        raise ConfigurationError(f"'{url}' is not the address of a model; one looks like http://127.0.0.1:11434/v1.")
    same_host = hostname == host or (hostname in _LOOPBACK and host in _LOOPBACK)
    if same_host and (its_port or (443 if scheme == "https" else 80)) == port:
        raise ConfigurationError(
            f"{url} is this service itself: it cannot be asked for answers. Name the endpoint of a model."
        )
    return url.rstrip("/")
