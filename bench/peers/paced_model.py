"""A model's endpoint that costs next to nothing: every request gets a stream of chat completions at a steady pace.

python -m bench.peers.paced_model TOKENS PER_SECOND

The first token comes at once. Tokens are numbered, so that whoever reads them can tell whether all came, in order.
A request for the model ``wait`` is never answered: what an open stream takes while nothing happens is measured on it.
"""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop

_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


def _chunk(delta: object, finish_reason: str | None = None) -> bytes:
    """Return a chunk as the hosted API words it, framed for the wire: one write, one chunk of HTTP."""
    data = json.dumps(
        {
            "id": "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012",
            "object": "chat.completion.chunk",
            "created": 1_790_000_000,
            "model": "gpt-4o-2024-08-06",
            "service_tier": "default",
            "system_fingerprint": "fp_0123456789",
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}],
        },
        separators=(",", ":"),
    ).encode()
    return _framed(b"data: %b\n\n" % data)


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Answering(asyncio.Protocol):
    """One connection, one request after the other; a request is whole when its body has the announced length.

    Attributes:
        tokens: The pieces of an answer, and what ends it.
        interval_s: Between two pieces.
    """

    tokens: list[bytes]
    interval_s: float

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._unread = b""
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        data = self._unread + data
        head = data.find(b"\r\n\r\n")
        lower = data[: max(head, 0)].lower()
        announced = lower.find(b"content-length: ")
        end = head + 4 + (int(lower[announced + 16 :].split(b"\r", 1)[0]) if announced >= 0 else 0)
        if head < 0 or len(data) < end:
            self._unread = data
            return
        self._unread = data[end:]
        if b'"model":"wait"' in data:
            return
        self._transport.write(_HEAD + self.tokens[0])
        self._say(1, self._loop.time() + self.interval_s)

    def _say(self, index: int, at: float) -> None:
        if index < len(self.tokens):
            self._timer = self._loop.call_at(at, self._go_on, index, at)

    def _go_on(self, index: int, at: float) -> None:
        self._transport.write(self.tokens[index])
        self._say(index + 1, at + self.interval_s)

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()


async def serve(count: int, per_second: float) -> None:
    """Serve on a free port of loopback and say its number."""
    pieces = [_chunk({"content": f" token{number}"}) for number in range(count)]
    pieces[0] = _chunk({"role": "assistant", "content": ""}) + pieces[0]
    Answering.tokens = [*pieces, _chunk({}, "stop") + _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"]
    Answering.interval_s = 1 / per_second
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2])))
