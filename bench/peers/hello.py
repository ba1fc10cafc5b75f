"""The least an ASGI application can do, on uvicorn as Holdover's service runs it."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
import uvloop

_HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"5")]


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Say hello."""
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": b"hello"})


def serve(app: Any) -> None:
    """Serve an application on a free port of loopback and say its number."""
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="auto",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
    )
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
        print(listening.getsockname()[1], flush=True)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(uvicorn.Server(config).serve(sockets=[listening]))


if __name__ == "__main__":
    serve(hello)
