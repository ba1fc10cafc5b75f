"""Many streams at once: opened over a while, read to their ends, and looked through for what is missing.

It runs in a process of its own (``python -m bench.listening``), on the core that the server under test does not have,
and is lean: what comes is kept as bytes and only counted when all streams are over.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from statistics import median

import msgspec
import uvloop

from .processes import OTHER_CORE, Child


class Order(msgspec.Struct):
    """Streams to open.

    Attributes:
        request: What each sends.
        tokens: How many each should get.
        over_s: The time over which their beginnings are spread, in seconds.
        limit_s: When what is not over is given up.
    """

    port: int
    request: str
    streams: int
    tokens: int
    over_s: float = 0.7
    limit_s: float = 30.0


class Heard(msgspec.Struct):
    """What came.

    Attributes:
        tokens: How many in all, as far as each stream had them in order and without a gap.
        whole: Streams that got every token.
        first_ms: The median time from a stream's request to its first token; ``inf`` where none came.
        seconds: How long it all took.
    """

    tokens: int
    whole: int
    first_ms: float | None
    seconds: float


class Listeners:
    """Listeners that can be given orders."""

    def __init__(self) -> None:
        self._child = Child("-m", "bench.listening", core=OTHER_CORE)
        self._child.read()

    def __enter__(self) -> Listeners:
        return self

    def __exit__(self, *error: object) -> None:
        self._child.stop()

    def hear(self, order: Order) -> Heard:
        """Carry out an order, and wait until the last stream is over."""
        return msgspec.json.decode(self._child.ask(msgspec.json.encode(order).decode()), type=Heard)

    def hold(self, order: Order) -> None:
        """Open streams and leave them open; return when each has got something."""
        self._child.ask(msgspec.json.encode(msgspec.structs.replace(order, tokens=0)).decode())


# ---------------------------------------------------------------------------------- in the other process

_TOKEN = re.compile(rb'" token(\d+)"')


class Stream(asyncio.Protocol):
    """One stream; over when the answer is, or its connection."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._parts: list[bytes] = []
        self._sent_at = 0.0
        self._first_at: float | None = None
        loop = asyncio.get_running_loop()
        self.begun: asyncio.Future[None] = loop.create_future()
        self.over: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self._sent_at = time.perf_counter()
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        if self._first_at is None and b'" token0"' in data:
            self._first_at = time.perf_counter()
        if not self.begun.done():
            self.begun.set_result(None)
        if data.endswith(b"0\r\n\r\n") and not self.over.done():
            self.over.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        for each in (self.begun, self.over):
            if not each.done():
                each.set_result(None)

    def is_answered(self) -> bool:
        """Whether what came so far is a stream, and not a refusal."""
        return bool(self._parts) and self._parts[0].startswith(b"HTTP/1.1 200")

    def first_s(self) -> float | None:
        """Return the seconds from the request to the first token."""
        return None if self._first_at is None else self._first_at - self._sent_at

    def count(self) -> int:
        """Return how many tokens came in order, without a gap, from the first on."""
        numbers = [int(each) for each in _TOKEN.findall(b"".join(self._parts))]
        return next((index for index, each in enumerate(numbers) if index != each), len(numbers))


async def open_all(order: Order) -> list[Stream]:
    """Open the streams, one after the other, evenly."""
    loop = asyncio.get_running_loop()
    request = order.request.encode()
    began = loop.time()
    streams = []
    for number in range(order.streams):
        await asyncio.sleep(began + order.over_s * number / order.streams - loop.time())
        _, stream = await loop.create_connection(lambda: Stream(request), "127.0.0.1", order.port)
        streams.append(stream)
    return streams


async def hear_all(order: Order) -> Heard:
    """Open the streams and read them to their ends."""
    began = time.perf_counter()
    streams = await open_all(order)
    await asyncio.wait([stream.over for stream in streams], timeout=order.limit_s)
    seconds = time.perf_counter() - began
    counts = [stream.count() for stream in streams]
    firsts = [first for stream in streams if (first := stream.first_s()) is not None]
    for stream in streams:
        stream.transport.close()
    return Heard(
        tokens=sum(counts),
        whole=sum(count == order.tokens for count in counts),
        first_ms=median(firsts) * 1e3 if firsts else None,
        seconds=seconds,
    )


def main() -> None:
    """Carry out orders from standard input, one a line."""
    print("ready", flush=True)
    held: list[Stream] = []
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in sys.stdin:
            order = msgspec.json.decode(line, type=Order)
            if order.tokens:
                print(msgspec.json.encode(runner.run(hear_all(order))).decode(), flush=True)
            else:
                held += runner.run(open_all(order))
                runner.run(_all_begun(held))
                print("held", flush=True)


async def _all_begun(streams: list[Stream]) -> None:
    await asyncio.wait([stream.begun for stream in streams])
    if not all(stream.is_answered() for stream in streams):
        raise RuntimeError("a stream was refused")


if __name__ == "__main__":
    main()
