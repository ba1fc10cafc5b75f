"""Sends events as they come. It only listens: a client that hangs up ends the sending, not the run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from holdover.engine.objects import BrokenOff, EventStream
from holdover.wire.events import PING

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

#: A stream that said nothing for so long says that it lives, in seconds.
PING_S = 15.0


class Outlet(Protocol):
    """An answer that is written piece by piece.

    Attributes:
        on_room: Called when the client reads again, after `write` said that it does not.
        on_leave: Called when the client is gone.
    """

    on_room: Callable[[], None]
    on_leave: Callable[[], None]

    def open(self) -> None:
        """Write the head; it goes with the first piece otherwise."""

    def write(self, data: bytes) -> bool:
        """Write a piece; return whether the client reads as fast as is written."""

    def end(self) -> None:
        """End the answer."""


async def pour_events(events: EventStream, outlet: Outlet) -> None:
    """Write events until they end, or nobody is there to take them. See `send_events`."""
    outlet.on_room, outlet.on_leave = events.go_on, events.end
    if not events.has_news:
        outlet.open()
    with _pinging(events) as has_sent:

        def write(frames: bytes) -> bool:
            has_sent()
            return outlet.write(frames)

        try:
            await events.pour(write)
        except BrokenOff:
            return
    outlet.end()


async def send_events(events: EventStream, receive: Receive, send: Send) -> None:
    """Send events until they end, or nobody is there to take them.

    Frames that came while the last ones were being sent go out together. Of a client that does not read, the frames
    wait in the engine, up to its bound; then the connection is closed in the middle of the answer.
    """
    leaving = asyncio.ensure_future(_wait_for_end(receive, events))
    try:
        with _pinging(events) as has_sent:
            async for frames in events:
                await send({"type": "http.response.body", "body": frames, "more_body": True})
                has_sent()
    except BrokenOff:
        return
    finally:
        leaving.cancel()
    await send({"type": "http.response.body", "body": b""})


@contextmanager
def _pinging(events: EventStream) -> Iterator[Callable[[], None]]:
    """Say now and then that a silent stream lives; give what is to be called when something was sent."""
    loop = asyncio.get_running_loop()
    last_sent = loop.time()
    timer: asyncio.TimerHandle | None = None

    def has_sent() -> None:
        nonlocal last_sent
        last_sent = loop.time()

    def ping() -> None:
        nonlocal timer
        silent_s = loop.time() - last_sent
        if silent_s >= PING_S:
            events.put(PING)
            silent_s = 0.0
        timer = loop.call_later(PING_S - silent_s, ping)

    ping()
    try:
        yield has_sent
    finally:
        assert timer is not None
        timer.cancel()
        events.close()


async def _wait_for_end(receive: Receive, events: EventStream) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            events.end()
            return
