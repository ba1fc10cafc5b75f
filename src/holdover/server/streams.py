"""Sends events as they come. It only listens: a client that hangs up ends the sending, not the run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from holdover.engine.objects import EventStream, TooSlow
from holdover.wire.events import PING

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

#: A stream that said nothing for so long says that it lives, in seconds.
PING_S = 15.0


async def send_events(events: EventStream, receive: Receive, send: Send) -> None:
    """Send events until they end, or nobody is there to take them.

    Frames that came while the last ones were being sent go out together. Of a client that does not read, the frames
    wait in the engine, up to its bound; then the connection is closed in the middle of the answer.
    """
    loop = asyncio.get_running_loop()
    last_sent = loop.time()
    timer: asyncio.TimerHandle | None = None

    def ping() -> None:
        nonlocal timer
        silent_s = loop.time() - last_sent
        if silent_s >= PING_S:
            events.put(PING)
            silent_s = 0.0
        timer = loop.call_later(PING_S - silent_s, ping)

    ping()
    leaving = asyncio.ensure_future(_wait_for_end(receive, events))
    try:
        async for frames in events:
            await send({"type": "http.response.body", "body": frames, "more_body": True})
            last_sent = loop.time()
    except TooSlow:
        return
    finally:
        if timer is not None:
            timer.cancel()
        leaving.cancel()
        events.close()
    await send({"type": "http.response.body", "body": b""})


async def _wait_for_end(receive: Receive, events: EventStream) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            events.end()
            return
