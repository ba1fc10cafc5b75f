"""PostgreSQL: the connections of a process, lent and taken back.

The driver's own pool guards against many uses of a connection that are not made here, and takes longer for that than
most statements do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from .query import Connection

#: A connection that nobody used for so long is closed, in seconds.
IDLE_S = 300.0
#: How long the server may take to let a connection go, in seconds.
LEAVE_S = 5.0


class Pool:
    """Connections: opened when they are needed, no more than ``limit``; the one that came back last is lent first."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], *, limit: int) -> None:
        self._connect = connect
        self._limit = limit
        self._room = asyncio.Semaphore(limit)
        #: Those that are not lent, and when each came back.
        self._idle: dict[Connection, float] = {}
        self._lent: set[Connection] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    async def take(self) -> Connection:
        """Return a connection that is not in use; wait until there is one."""
        await self._room.acquire()
        try:
            connection = self._last() or await self._connect()
        except BaseException:
            self._room.release()
            raise
        self._lent.add(connection)
        return connection

    def _last(self) -> Connection | None:
        while self._idle:
            connection, _ = self._idle.popitem()
            if not connection.is_closed():
                return connection
        return None

    def give_back(self, connection: Connection, *, is_asking: bool = False) -> None:
        """Take a connection back; it is not used again if it was closed, or if something was left undone on it.

        Args:
            is_asking: Nobody waits for the answer to what it asks: the server is told so.
        """
        self._lent.discard(connection)
        self._room.release()
        if connection.is_closed():
            return
        if is_asking or connection.is_in_transaction():
            self._close_soon(connection)
            return
        self._idle[connection] = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(IDLE_S, self._tidy)

    def _tidy(self) -> None:
        """Close what nobody used for long; those that came back first stand first."""
        self._timer = None
        now = self._loop.time()
        for connection, since in list(self._idle.items()):
            if now - since < IDLE_S:
                self._timer = self._loop.call_later(IDLE_S - (now - since), self._tidy)
                break
            del self._idle[connection]
            self._close_soon(connection)

    def _close_soon(self, connection: Connection) -> None:
        task = asyncio.create_task(_close(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Wait until all connections have come back, and close them."""
        for _ in range(self._limit):
            await self._room.acquire()
        if self._timer is not None:
            self._timer.cancel()
        idle, self._idle = self._idle, {}
        await asyncio.gather(*map(_close, idle), *self._closing)

    def terminate(self) -> None:
        """Close all connections now."""
        if self._timer is not None:
            self._timer.cancel()
        for connection in (*self._idle, *self._lent):
            connection.terminate()


async def _close(connection: Connection) -> None:
    """Take leave of the server, and go in any case."""
    try:
        await connection.close(timeout=LEAVE_S)
    except Exception:  # whatever the driver says: the connection is of no more use
        connection.terminate()
