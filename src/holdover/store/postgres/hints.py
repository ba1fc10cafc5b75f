"""PostgreSQL: telling other processes, and being told. Notifications carry ids, never content.

LISTEN needs a connection of its own that nothing in between hands to others. Through a pooler that does, hints are
lost and everything else works, if it keeps prepared statements: hints are never relied on.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

from holdover import telemetry

from ..protocol import Hint
from ..statements import load_statements
from .database import CONNECT_TIMEOUT_S, Clock, connect
from .query import Connection, Query, fetch_value

CHANNEL = "holdover"

#: Between attempts to listen again: doubled each time, up to the second.
LISTEN_AGAIN_S = (0.1, 10.0)
#: A connection on which nothing is heard is asked, as often as this, whether it still is one.
LISTEN_CHECK_S = 15.0

NOTIFY = Query(load_statements("postgres", "runs.sql")["notify"])


async def notify(connection: Connection, status: str, identifier: str) -> None:
    """Tell of a status, when the transaction is committed."""
    await fetch_value(connection, NOTIFY, told=f"{status} {identifier}")


async def listen(url: str, hint: Hint, clock: Clock, begun: asyncio.Event) -> None:
    """Listen for ever. ``begun`` is set when it is listened for the first time, or when that was tried in vain."""
    first_s, last_s = LISTEN_AGAIN_S
    wait_s = first_s
    while True:
        try:
            async with _listening(url, hint) as (connection, ended):
                begun.set()
                wait_s = first_s
                while not ended.is_set():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LISTEN_CHECK_S):
                            await ended.wait()
                    async with asyncio.timeout(CONNECT_TIMEOUT_S):
                        await clock.ask(connection)
        except Exception as error:  # whatever it is: hints are not worth a process
            telemetry.emit("store.failure", error=error)
        begun.set()
        await asyncio.sleep(wait_s * random.uniform(0.5, 1))  # not all workers at the same moment
        wait_s = min(2 * wait_s, last_s)


@contextlib.asynccontextmanager
async def _listening(url: str, hint: Hint) -> AsyncIterator[tuple[Connection, asyncio.Event]]:
    """Lend a connection that listens, and what is set when it is lost."""

    def told(connection: Connection, pid: int, channel: str, payload: str) -> None:
        status, _, run_id = payload.partition(" ")
        hint(status, run_id)

    ended = asyncio.Event()
    connection = await connect(url)
    try:
        connection.add_termination_listener(lambda _: ended.set())
        await connection.add_listener(CHANNEL, told)
        yield connection, ended
    finally:
        connection.terminate()  # and not closed: that would wait for an answer, perhaps in vain
