"""The least an ASGI application can do, on the very server that Holdover's service runs on."""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop

from holdover.server import http

_HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"5")]


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Say hello."""
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": b"hello"})


def serve() -> None:
    """Serve on a free port of loopback and say its number."""
    with http.listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        server = http.server(hello, drain_s=1, on_ready=lambda: print(port, flush=True))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve(sockets=[listening]))


if __name__ == "__main__":
    serve()
