"""The network, with the standard library alone: a connection for each request, proxies from the environment.

Slower than the default, and it works everywhere; used in processes forked from one that had used the default.
"""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

from . import Request, Response, TransportFailure, is_direct


class StandardTransport:
    """Sends requests over the network. See `holdover.client.transports.Transport`."""

    def send(self, request: Request) -> Response:
        prepared = urllib.request.Request(
            request.url, data=request.body, headers=request.headers, method=request.method
        )
        try:
            with _opener(request.url).open(prepared, timeout=request.timeout_s) as answer:
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return Response(answer.status, headers, answer.read())
        except urllib.error.URLError as error:
            raise _translated(error.reason, error) from error
        except (OSError, HTTPException) as error:
            raise _translated(error, error, was_sent=True) from error

    def close(self) -> None:
        return None


class AsyncStandardTransport:
    """The same for async clients, on threads."""

    async def send(self, request: Request) -> Response:
        import asyncio

        return await asyncio.to_thread(StandardTransport().send, request)

    async def close(self) -> None:
        return None


def _opener(url: str) -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler({} if is_direct(url) else None),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
    ):
        opener.add_handler(handler)  # neither redirects nor error statuses: those are for the caller
    return opener


def _translated(reason: Any, error: Exception, *, was_sent: bool | None = None) -> TransportFailure:
    if was_sent is None:
        # urllib wraps what happens until the request is sent; only these are sure to have opened no connection.
        was_sent = not isinstance(reason, ConnectionRefusedError | ssl.SSLError) and not _is_lookup(reason)
    return TransportFailure(
        str(reason) or type(error).__name__, was_sent=was_sent, timed_out=isinstance(reason, TimeoutError)
    )


def _is_lookup(reason: Any) -> bool:
    import socket

    return isinstance(reason, socket.gaierror)
