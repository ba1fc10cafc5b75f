"""The network, for async clients: connections of the running loop, kept open between calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from weakref import WeakKeyDictionary

from . import Request, Response, TransportFailure
from .http1 import CONNECT_TIMEOUT_S, MAX_IDLE_S, SAFE, Answer, Gone, Route, Routes, encode, not_opened, reason


class LoopTransport:
    """Sends requests over the network. See `holdover.client.transports.AsyncTransport`."""

    def __init__(self) -> None:
        self._routes = Routes()
        self._pools: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pool] = WeakKeyDictionary()
        self._tls: Any = None

    async def send(self, request: Request) -> Response:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + request.timeout_s
        route, path = self._routes.find(request.url)
        data = encode(request, route, path)
        pool = self._pools.get(loop)
        if pool is None:
            pool = self._pools[loop] = _Pool()
            await pool.end_with_loop()
        connection = pool.take(route, loop.time())
        if connection is not None:
            try:
                return await _exchange(pool, connection, request.method, data, deadline)
            except Gone:
                if request.method not in SAFE:
                    raise
        connection = await self._open(route, loop, deadline)
        return await _exchange(pool, connection, request.method, data, deadline)

    async def close(self) -> None:
        pool = self._pools.get(asyncio.get_running_loop())
        if pool is not None:
            await pool.close()

    async def _open(self, route: Route, loop: asyncio.AbstractEventLoop, deadline: float) -> _Connection:
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + CONNECT_TIMEOUT_S)):
                host, port = route.peer
                encrypted = {"ssl": self._tls_context(), "server_hostname": route.host}
                options = encrypted if route.is_tls and not route.has_tunnel else {}
                _, connection = await loop.create_connection(lambda: _Connection(route, loop), host, port, **options)
                if route.has_tunnel:
                    await connection.open_tunnel(encrypted)
                return connection
        except (OSError, UnicodeError) as error:
            raise not_opened(error) from error

    def _tls_context(self) -> Any:
        if self._tls is None:
            import ssl

            self._tls = ssl.create_default_context()
        return self._tls


async def _exchange(pool: _Pool, connection: _Connection, method: str, data: bytes, deadline: float) -> Response:
    answer = await connection.exchange(method, data, deadline)
    if answer.may_stay_open and not connection.is_closed:
        pool.keep(connection)
    else:
        connection.abort()
    return answer.response()


class _Pool:
    """Connections of one loop that are kept open."""

    def __init__(self) -> None:
        self._idle: dict[Route, list[_Connection]] = {}
        self._ending: AsyncGenerator[None, None] | None = None

    def take(self, route: Route, now: float) -> _Connection | None:
        connections = self._idle.get(route)
        while connections:
            connection = connections.pop()
            if not connection.is_closed and now - connection.idle_since < MAX_IDLE_S:
                return connection
            connection.abort()
        return None

    def keep(self, connection: _Connection) -> None:
        connection.idle_since = connection.loop.time()
        self._idle.setdefault(connection.route, []).append(connection)

    async def close(self) -> None:
        idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.abort()
        await asyncio.sleep(0)  # the loop closes what was aborted in its next turn

    async def end_with_loop(self) -> None:
        """Have the connections closed when the loop ends, for clients that nobody closes.

        A loop that ends closes the asynchronous generators that were begun in it; it has no other last word.
        """

        async def end() -> AsyncGenerator[None, None]:
            try:
                yield
            finally:
                await self.close()

        self._ending = end()
        await anext(self._ending)


class _Connection(asyncio.Protocol):
    """An open connection; it carries one exchange at a time."""

    def __init__(self, route: Route, loop: asyncio.AbstractEventLoop) -> None:
        self.route = route
        self.loop = loop
        self.idle_since = 0.0
        self.is_closed = False
        self._transport: Any = None
        self._answer: Answer | None = None
        self._waiting: asyncio.Future[Answer] | None = None

    async def exchange(self, method: str, data: bytes, deadline: float) -> Answer:
        """Send a request and wait for the whole answer.

        Raises:
            TransportFailure: It did not come.
        """
        self._answer = Answer(method)
        self._waiting = self.loop.create_future()
        expiry = self.loop.call_at(deadline, self._expire)
        self._transport.write(data)
        try:
            return await self._waiting
        except BaseException:  # also when cancelled: what is still to come must not be taken for another answer
            self.abort()
            raise
        finally:
            expiry.cancel()
            self._answer = self._waiting = None

    async def open_tunnel(self, encrypted: dict[str, Any]) -> None:
        """Ask the proxy to connect through, and encrypt what goes on from there.

        Raises:
            OSError: The proxy does not, or the other side cannot be trusted.
        """
        answer = await self.exchange("CONNECT", self.route.tunnel_request(), self.loop.time() + CONNECT_TIMEOUT_S)
        answer.check_tunnel()
        self._transport = await self.loop.start_tls(
            self._transport, self, encrypted["ssl"], server_hostname=encrypted["server_hostname"]
        )

    def abort(self) -> None:
        """Close the connection now."""
        self.is_closed = True
        if self._transport is not None and not self.loop.is_closed():
            self._transport.abort()

    def _expire(self) -> None:
        self._fail(TransportFailure("time ran out", was_sent=True, timed_out=True))

    def _fail(self, failure: TransportFailure) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(failure)

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        answer, waiting = self._answer, self._waiting
        if answer is None or waiting is None:
            self.abort()  # it speaks without being asked
            return
        try:
            if answer.feed(data) and not waiting.done():
                waiting.set_result(answer)
        except TransportFailure as failure:
            self._fail(failure)

    def eof_received(self) -> None:
        self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_closed = True
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        self.is_closed = True
        answer, waiting = self._answer, self._waiting
        if answer is None or waiting is None or waiting.done():
            return
        if error is None and answer.end():
            waiting.set_result(answer)
            return
        kind = TransportFailure if answer.has_begun and error is not None else Gone
        told = reason(error) if error is not None else "the connection was closed before the answer was whole"
        waiting.set_exception(kind(told, was_sent=True))
