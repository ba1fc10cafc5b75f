"""What loops have in common that work for as long as the process does: no failure ends one, and no two keep step."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from random import random

from holdover import telemetry
from holdover.errors import InternalServerError

Step = Callable[[], Awaitable[None]]
Sleep = Callable[[float], Awaitable[None]]


async def for_ever(step: Step, on_failure: Callable[[Exception], None], sleep: Sleep) -> None:
    """Take a step again and again. See `until_done`."""
    while True:
        await until_done(step, on_failure, sleep)


async def until_done(step: Step, on_failure: Callable[[Exception], None], sleep: Sleep) -> None:
    """Take a step, again if it fails, after a pause.

    Args:
        on_failure: Is given what the step raised, unless that is trouble with the store, which is told of here.
    """
    while True:
        try:
            return await step()
        except InternalServerError as error:
            telemetry.emit("store.failure", error=error)
        except Exception as error:
            on_failure(error)
        await sleep(0.5 + random())


async def woken(wake: asyncio.Event, within_s: float) -> None:
    """Wait to be woken, for about so many seconds at the most."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(about(within_s)):
            await wake.wait()


def about(seconds: float) -> float:
    """Return a time near this one, so that many processes do not ask at the same moment."""
    return seconds * (0.75 + random() / 2)
