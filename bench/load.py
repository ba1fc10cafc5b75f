"""The load generator: connections that send a request as soon as they have the answer to the one before.

It runs in a process of its own (``python -m bench.load``), on the core that the server under test does not have, and
is lean: a request is bytes made beforehand, an answer is read as far as its length.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from itertools import cycle, islice

import msgspec
import uvloop

from .processes import OTHER_CORE, Child


class Order(msgspec.Struct):
    """What to send: ``count`` requests in all, taken from ``requests`` in turn."""

    port: int
    connections: int
    count: int
    requests: list[str]


class Tally(msgspec.Struct):
    """How that went; ``p50_us`` is the median time of one request."""

    seconds: float
    p50_us: float

    def per_s(self, order: Order) -> float:
        """Return the requests per second."""
        return order.count / self.seconds


class Load:
    """A load generator that can be given orders."""

    def __init__(self) -> None:
        self._child = Child("-m", "bench.load", core=OTHER_CORE)
        self._child.read()

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *error: object) -> None:
        self._child.stop()

    def run(self, order: Order) -> Tally:
        """Carry out an order.

        Raises:
            RuntimeError: A request was not answered with 200.
        """
        return msgspec.json.decode(self._child.ask(msgspec.json.encode(order).decode()), type=Tally)


def request(path: str, key: str, body: bytes | None = None) -> str:
    """Return a request as an SDK sends it; a POST where there is a body."""
    method, length = ("GET", "") if body is None else ("POST", f"content-length: {len(body)}\r\n")
    head = (
        f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/json\r\naccept-encoding: identity\r\n"
        f"user-agent: bench\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\n"
        f"openai-beta: assistants=v2\r\n{length}\r\n"
    )
    return head + (body or b"").decode("ascii")


# ---------------------------------------------------------------------------------- in the other process


class Connection(asyncio.Protocol):
    """Sends requests one after another until there are none left."""

    def __init__(self, requests: Iterator[bytes], times: list[float]) -> None:
        self._requests = requests
        self._times = times
        self._unread = b""
        self._sent_at = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def send_next(self) -> None:
        """Send the next request, or end."""
        request = next(self._requests, None)
        if request is None:
            self.done.set_result(None)
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        data = self._unread + data
        head = data.find(b"\r\n\r\n")
        if head < 0 or len(data) < head + 4 + _content_length(data, head):
            self._unread = data
            return
        self._unread = b""
        if data[9:12] != b"200":
            self._fail(data[:300].decode("ascii", "replace"))
            return
        self._times.append(time.perf_counter() - self._sent_at)
        self.send_next()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the connection ended: {error}")

    def _fail(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(reason))


def _content_length(data: bytes, head: int) -> int:
    start = data.find(b"content-length: ", 0, head) + 16
    return int(data[start : data.find(b"\r", start)])


async def carry_out(order: Order) -> Tally:
    """Send everything and wait for every answer; connecting is not counted."""
    loop = asyncio.get_running_loop()
    requests = islice(cycle([each.encode() for each in order.requests]), order.count)
    times: list[float] = []
    opened = [
        await loop.create_connection(lambda: Connection(requests, times), "127.0.0.1", order.port)
        for _ in range(order.connections)
    ]
    began = time.perf_counter()
    for _, connection in opened:
        connection.send_next()
    await asyncio.gather(*(connection.done for _, connection in opened))
    seconds = time.perf_counter() - began
    for transport, _ in opened:
        transport.close()
    return Tally(seconds=seconds, p50_us=sorted(times)[len(times) // 2] * 1e6)


def main() -> None:
    """Carry out orders from standard input, one a line."""
    print("ready", flush=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in sys.stdin:
            tally = runner.run(carry_out(msgspec.json.decode(line, type=Order)))
            print(msgspec.json.encode(tally).decode(), flush=True)


if __name__ == "__main__":
    main()
