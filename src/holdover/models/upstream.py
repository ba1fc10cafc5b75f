"""Connections to endpoints of models: one pool for a process, for runs and for what is passed through.

``aiohttp`` carries the bytes: it costs the fewest microseconds a token of the clients that were measured.
"""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from holdover.errors import ConfigurationError

#: Says which process asks, so that a service that is its own upstream finds out.
HOP_HEADER = "holdover-hop"
CONNECT_TIMEOUT_S = 10.0
#: What ``aiohttp`` would say of itself.
_AUTOMATIC = ("accept", "content-type", "user-agent")
_AT_ONCE_BYTES = 1024 * 1024
_LOOPBACK = ("localhost", "127.0.0.1", "::1", "0.0.0.0")


class Upstream:
    """Sends requests to endpoints, and knows this process by a name."""

    def __init__(self) -> None:
        self.hop = os.urandom(8).hex()
        self._session: Any = None

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
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"'{url}' is not the address of a model; one looks like http://127.0.0.1:11434/v1.")
    same_host = parts.hostname == host or (parts.hostname in _LOOPBACK and host in _LOOPBACK)
    if same_host and (parts.port or (443 if parts.scheme == "https" else 80)) == port:
        raise ConfigurationError(
            f"{url} is this service itself: it cannot be asked for answers. Name the endpoint of a model."
        )
    return url.rstrip("/")
