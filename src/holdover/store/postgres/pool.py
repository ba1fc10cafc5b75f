"""PostgreSQL: the connections of a process, lent and taken back.

The driver's own pool guards against many uses of a connection that are not made here, and takes longer for that than
most statements do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from holdover.errors import InternalServerError

from .query import Connection

#: A connection that nobody used for so long is closed, in seconds.
IDLE_S = 300.0
#: How long the server may take to let a connection go, in seconds.
LEAVE_S = 5.0


class Pool:
    """Connections: opened when they are needed, no more than ``limit``; the one that came back last is lent first."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], *, limit: int) -> None:
        self._connect = connect
        #: Places for connections: one that is being closed has its place until it is gone.
        self._room = asyncio.Semaphore(limit)
        #: Those that are not lent, and when each came back.
        self._idle: dict[Connection, float] = {}
        self._lent: set[Connection] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._all_are_back = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    async def take(self) -> Connection:
        """Return a connection that is not in use; wait until there is one.

        Raises:
            InternalServerError: The pool is closed.
        """
        self._check_open()
        await self._room.acquire()
        try:
            self._check_open()  # again: this waited
            connection = self._last() or await self._connect()
            if self._is_closed:
                connection.terminate()
                self._check_open()
        except BaseException:
            self._room.release()
            raise
        self._lent.add(connection)
        return connection

    def _check_open(self) -> None:
        if self._is_closed:
            raise InternalServerError("The store is closed.")

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
        if not self._lent:
            self._all_are_back.set()
        if not connection.is_closed():
            if self._is_closed or is_asking or connection.is_in_transaction():
                self._close_soon(connection, self._room.release)
                return
            self._idle[connection] = self._loop.time()
            if self._timer is None:
                self._timer = self._loop.call_later(IDLE_S, self._tidy)
        self._room.release()

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

    def _close_soon(self, connection: Connection, then: Callable[[], object] | None = None) -> None:
        def is_gone(task: asyncio.Task[None]) -> None:
            self._closing.discard(task)
            if then is not None:
                then()

        task = asyncio.create_task(_close(connection))
        self._closing.add(task)
        task.add_done_callback(is_gone)

    async def close(self) -> None:
        """Lend no more; wait until all connections have come back, and close them."""
        self._end()
        for connection in self._idle:
            self._close_soon(connection)
        self._idle.clear()
        while self._lent:
            self._all_are_back.clear()
            await self._all_are_back.wait()
        if self._closing:
            await asyncio.wait(self._closing)

    def terminate(self) -> None:
        """Lend no more, and close all connections now."""
        self._end()
        for task in self._closing:
            task.cancel()  # which closes its connection
        for connection in (*self._idle, *self._lent):
            connection.terminate()
        self._idle.clear()

    def _end(self) -> None:
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()


async def _close(connection: Connection) -> None:
    """Take leave of the server, and go in any case."""
    try:
        await connection.close(timeout=LEAVE_S)
    except BaseException as error:
        connection.terminate()
        if not isinstance(error, Exception):
            raise
