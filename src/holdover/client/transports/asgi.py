"""To an ASGI application in this process: no socket, no server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import urlsplit

from . import Request, Response, TransportFailure

Application = Callable[[Any, Any, Any], Coroutine[Any, Any, None]]


class ASGITransport:
    """Calls an application on the running loop. See `holdover.client.transports.AsyncTransport`."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def send(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(request.timeout_s):
                return await _call(self._app, request)
        except TimeoutError as error:
            raise TransportFailure("the service did not answer in time", was_sent=True, timed_out=True) from error

    async def close(self) -> None:
        return None


class ThreadedASGITransport:
    """Calls an application on a loop that runs in another thread, for sync clients."""

    def __init__(self, app: Application, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = ASGITransport(app)
        self._loop = loop

    def send(self, request: Request) -> Response:
        if self._loop.is_closed():
            raise TransportFailure("the service in this process was closed", was_sent=False)
        return asyncio.run_coroutine_threadsafe(self._transport.send(request), self._loop).result()

    def close(self) -> None:
        return None


async def _call(app: Application, request: Request) -> Response:
    address = urlsplit(request.url)
    body = request.body or b""
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.items()]
    headers += [(b"host", address.netloc.encode("latin-1")), (b"content-length", b"%d" % len(body))]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": address.scheme,
        "path": address.path,
        "raw_path": address.path.encode("ascii"),
        "query_string": address.query.encode("ascii"),
        "root_path": "",
        "headers": headers,
        "client": None,
        "server": None,
    }
    status = 500
    answered: dict[str, str] = {}
    parts: list[bytes] = []
    was_read = False

    async def receive() -> Mapping[str, Any]:
        nonlocal was_read
        if was_read:
            return {"type": "http.disconnect"}
        was_read = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Mapping[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            answered.update((name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"])
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return Response(status, answered, b"".join(parts))
