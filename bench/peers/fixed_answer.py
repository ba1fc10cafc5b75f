"""Answers every request with one assistant, at hardly any cost: what client calls are measured on."""

from __future__ import annotations

import asyncio

import uvloop

from bench.documents import document

_DOCUMENT = document("asst_" + "A" * 24)
_ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\ncontent-length: %d\r\n\r\n%b"
    % (len(_DOCUMENT), _DOCUMENT)
)


class Answering(asyncio.Protocol):
    """One connection; a GET ends with its head."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._unread = b""

    def data_received(self, data: bytes) -> None:
        *heads, self._unread = (self._unread + data).split(b"\r\n\r\n")
        self._transport.write(_ANSWER * len(heads))


async def serve() -> None:
    """Serve on a free port of loopback and say its number."""
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
