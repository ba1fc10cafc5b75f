"""Travel through an ``httpx`` or ``httpx2`` client that the application has already, with all its settings."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

from . import AsyncIncoming, Content, Incoming, Request, Response, TransportFailure


class HttpxTransport:
    """Sends requests through ``httpx.Client``; closing it is left to its owner."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def send(self, request: Request) -> Response:
        try:
            answer = self._client.request(**_arguments(request), follow_redirects=False)
        except Exception as error:
            raise _translated(error) from error
        return Response(answer.status_code, answer.headers, answer.content)

    def stream(self, request: Request) -> Incoming:
        built = self._client.build_request(**_arguments(request))
        try:
            return _Incoming(self._client.send(built, stream=True, follow_redirects=False))
        except Exception as error:
            raise _translated(error) from error

    def close(self) -> None:
        return None


class _Incoming:
    def __init__(self, answer: Any) -> None:
        self.status: int = answer.status_code
        self.headers = answer.headers
        self._answer = answer
        self._parts: Iterator[bytes] = answer.iter_bytes()
        self._is_reading = False

    def read(self, timeout_s: float | None = None) -> bytes:  # how long it waits was settled with the request
        self._is_reading = True
        try:
            return next(self._parts, b"")
        except Exception as error:
            raise _translated(error) from error
        finally:
            self._is_reading = False

    def close(self) -> None:
        if self._is_reading:  # by another thread, which is told of the end, and closes it then
            _end(self._answer)
        else:
            self._answer.close()


class AsyncHttpxTransport:
    """Sends requests through ``httpx.AsyncClient``; closing it is left to its owner."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def send(self, request: Request) -> Response:
        try:
            answer = await self._client.request(**_arguments(request, can_await=True), follow_redirects=False)
        except Exception as error:
            raise _translated(error) from error
        return Response(answer.status_code, answer.headers, answer.content)

    async def stream(self, request: Request) -> AsyncIncoming:
        built = self._client.build_request(**_arguments(request, can_await=True))
        try:
            return _AsyncIncoming(await self._client.send(built, stream=True, follow_redirects=False))
        except Exception as error:
            raise _translated(error) from error

    async def close(self) -> None:
        return None


class _AsyncIncoming:
    def __init__(self, answer: Any) -> None:
        self.status: int = answer.status_code
        self.headers = answer.headers
        self._answer = answer
        self._parts: AsyncIterator[bytes] = answer.aiter_bytes()

    async def read(self, timeout_s: float | None = None) -> bytes:
        try:
            return await anext(self._parts, b"")
        except Exception as error:
            raise _translated(error) from error

    async def close(self) -> None:
        await self._answer.aclose()


def _arguments(request: Request, *, can_await: bool = False) -> dict[str, Any]:
    body, headers = request.body, request.headers
    if not isinstance(body, bytes | None):
        headers = {**headers, "content-length": str(body.length)}
    return {
        "method": request.method,
        "url": request.url,
        "headers": headers,
        "content": body if isinstance(body, bytes | None) else _blocks(body) if can_await else body.blocks(),
        "timeout": request.timeout_s,
    }


async def _blocks(content: Content) -> AsyncIterator[bytes]:
    import asyncio

    blocks = content.blocks()
    while block := await asyncio.to_thread(next, blocks, b""):
        yield block


def _end(answer: Any) -> None:
    """Have nothing come any more of an answer, where its connection can be had and carries nothing else."""
    stream = answer.extensions.get("network_stream")
    connection = stream.get_extra_info("socket") if stream is not None and answer.http_version != "HTTP/2" else None
    if isinstance(connection, socket.socket):
        with suppress(OSError):  # it has ended already
            socket.socket.shutdown(connection, socket.SHUT_RDWR)  # that of TLS would take its state from a reader


def _translated(error: Exception) -> Exception:
    # Told apart by name: the two packages have the same classes, and neither need be installed.
    names = {cls.__name__ for cls in type(error).__mro__}
    if "TransportError" not in names:
        return error
    return TransportFailure(
        _reason(error),
        was_sent=not names & {"ConnectError", "ConnectTimeout", "PoolTimeout"},
        timed_out="TimeoutException" in names,
    )


def _reason(error: Exception) -> str:
    """Return what happened; on the async side a refused connection is wrapped in less telling words."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, ConnectionRefusedError):
            return "Connection refused"
        inner = inner.__cause__ or inner.__context__
    return str(error) or type(error).__name__
