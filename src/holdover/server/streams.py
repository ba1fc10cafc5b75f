"""Sends events as they come. It only listens: a client that hangs up ends the sending, not the run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from holdover.engine.objects import BrokenOff, EventStream
from holdover.wire.events import PING

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

#: No stream is silent for longer: it says that it lives then, in seconds.
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
    pings = Pings(events)
    try:
        await events.pour(outlet.write)
    except BrokenOff:
        return
    finally:
        pings.stop()
        events.close()
    outlet.end()


async def send_events(events: EventStream, receive: Receive, send: Send) -> None:
    """Send events until they end, or nobody is there to take them.

    Frames that came while the last ones were being sent go out together. Of a client that does not read, the frames
    wait in the engine, up to its bound; then the connection is closed in the middle of the answer.
    """
    leaving = asyncio.ensure_future(_wait_for_end(receive, events))
    pings = Pings(events)
    try:
        async for frames in events:
            await send({"type": "http.response.body", "body": frames, "more_body": True})
    except BrokenOff:
        return
    finally:
        leaving.cancel()
        pings.stop()
        events.close()
    await send({"type": "http.response.body", "body": b""})


class Pings:
    """Says now and then that a silent stream lives; it is looked at twice in the time, not timed at every token."""

    def __init__(self, events: EventStream) -> None:
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(PING_S / 2, self._look)

    def stop(self) -> None:
        """Say no more."""
        self._timer.cancel()

    def _look(self) -> None:
        self._events.break_silence(PING)
        self._timer = self._loop.call_later(PING_S / 2, self._look)


async def _wait_for_end(receive: Receive, events: EventStream) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            events.end()
            return
