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
    with _pinging(events):
        try:
            await events.pour(outlet.write)
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
        with _pinging(events):
            async for frames in events:
                await send({"type": "http.response.body", "body": frames, "more_body": True})
    except BrokenOff:
        return
    finally:
        leaving.cancel()
    await send({"type": "http.response.body", "body": b""})


@contextmanager
def _pinging(events: EventStream) -> Iterator[None]:
    """Say now and then that a silent stream lives; it is looked at twice in the time, not timed at every token."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def look() -> None:
        nonlocal timer
        events.break_silence(PING)
        timer = loop.call_later(PING_S / 2, look)

    timer = loop.call_later(PING_S / 2, look)
    try:
        yield
    finally:
        timer.cancel()
        events.close()


async def _wait_for_end(receive: Receive, events: EventStream) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            events.end()
            return
