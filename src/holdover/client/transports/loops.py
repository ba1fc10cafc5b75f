"""The network, for async clients: connections of the running loop, kept open between calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any
from weakref import WeakKeyDictionary

from . import Content, Request, Response, TransportFailure
from .http1 import (
    CONNECT_TIMEOUT_S,
    HAS_BODY,
    HAS_HEAD,
    IS_WHOLE,
    MAX_IDLE_S,
    SAFE,
    Answer,
    Gone,
    Route,
    Routes,
    encode,
    not_opened,
    reason,
)

#: Takes a piece of a body and says whether it wants the next one.
Sink = Callable[[bytes], bool]

#: A stream that nobody reads is not received any further than this.
HELD_BYTES = 256 * 1024


class LoopTransport:
    """Sends requests over the network. See `holdover.client.transports.AsyncTransport`."""

    def __init__(self) -> None:
        self._routes = Routes()
        self._pools: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pool] = WeakKeyDictionary()
        self._tls: Any = None

    async def send(self, request: Request) -> Response:
        pool, connection, answer = await self._ask(request, IS_WHOLE)
        pool.let_go(connection, answer)
        return answer.response()

    async def stream(self, request: Request) -> LoopIncoming:
        pool, connection, answer = await self._ask(request, HAS_HEAD)
        return LoopIncoming(answer, connection, pool, request.timeout_s)

    async def close(self) -> None:
        pool = self._pools.get(asyncio.get_running_loop())
        if pool is not None:
            await pool.close()

    async def _ask(self, request: Request, is_enough: Callable[[Answer], object]) -> tuple[_Pool, _Connection, Answer]:
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
                return pool, connection, await connection.exchange(request, data, deadline, is_enough)
            except Gone:
                if request.method not in SAFE:
                    raise
        connection = await self._open(route, loop, deadline)
        return pool, connection, await connection.exchange(request, data, deadline, is_enough)

    async def _open(self, route: Route, loop: asyncio.AbstractEventLoop, deadline: float) -> _Connection:
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + CONNECT_TIMEOUT_S)):
                host, port = route.peer
                encrypted = {"ssl": self._tls_context(), "server_hostname": route.host} if route.is_tls else {}
                options = {} if route.has_tunnel else encrypted
                _, connection = await loop.create_connection(lambda: _Connection(route, loop), host, port, **options)
                if route.has_tunnel:
                    try:
                        await connection.open_tunnel(encrypted)
                    except BaseException:
                        connection.abort()
                        raise
                return connection
        except (OSError, UnicodeError) as error:
            raise not_opened(error) from error

    def _tls_context(self) -> Any:
        if self._tls is None:
            import ssl

            self._tls = ssl.create_default_context()
        return self._tls


class LoopIncoming:
    """An answer whose body is still to come. See `holdover.client.transports.AsyncIncoming`; `pour` hands it on."""

    def __init__(self, answer: Answer, connection: _Connection, pool: _Pool, timeout_s: float) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self._answer = answer
        self._connection: _Connection | None = connection
        self._pool = pool
        self._timeout_s = timeout_s
        pool.streaming.add(connection)

    async def read(self, timeout_s: float | None = None) -> bytes:
        connection = self._connection
        if connection is not None:
            await connection.read(connection.loop.time() + (timeout_s or self._timeout_s))
            self._let_go_if_whole(connection)
        return self._answer.take()

    async def pour(self, sink: Sink) -> bool:
        """Hand the body on as it comes, until ``sink`` returns ``False`` or raises; return whether there may be more.

        The loop calls it where the bytes are received: no task is woken for each of them.

        Raises:
            TransportFailure: It broke off, or nothing came for as long as the request's time.
        """
        wants_more = True
        if self._answer.held_bytes:
            wants_more = sink(self._answer.take())
        connection = self._connection
        if wants_more and connection is not None and not self._answer.is_complete:
            await connection.pour(sink, self._timeout_s)
        if connection is not None:
            self._let_go_if_whole(connection)
        return self._connection is not None or bool(self._answer.held_bytes)

    def _let_go_if_whole(self, connection: _Connection) -> None:
        if self._answer.is_complete:
            self._leave()
            self._pool.let_go(connection, self._answer)

    async def close(self) -> None:
        if (connection := self._leave()) is not None:
            connection.abort()
            await asyncio.sleep(0)  # the loop closes it in its next turn

    def _leave(self) -> _Connection | None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.streaming.discard(connection)
        return connection


class _Pool:
    """Connections of one loop that are kept open."""

    def __init__(self) -> None:
        self.streaming: set[_Connection] = set()
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

    def let_go(self, connection: _Connection, answer: Answer) -> None:
        """Keep a connection for other calls, if it can be used again."""
        connection.answer = None
        connection.receive()
        if answer.may_stay_open and not connection.is_closed:
            connection.idle_since = connection.loop.time()
            self._idle.setdefault(connection.route, []).append(connection)
        else:
            connection.abort()

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
                for connection in self.streaming:
                    connection.abort()
                await self.close()

        self._ending = end()
        await anext(self._ending)


class _Connection(asyncio.Protocol):
    """An open connection; it carries one exchange at a time.

    Attributes:
        answer: What is being received, until the connection is let go.
    """

    __slots__ = (
        "_deadline",
        "_expires_at",
        "_expiry",
        "_failure",
        "_has_room",
        "_is_enough",
        "_is_paused",
        "_silence_s",
        "_sink",
        "_transport",
        "_waiting",
        "answer",
        "idle_since",
        "is_closed",
        "loop",
        "route",
    )

    def __init__(self, route: Route, loop: asyncio.AbstractEventLoop) -> None:
        self.route = route
        self.loop = loop
        self.idle_since = 0.0
        self.is_closed = False
        self.answer: Answer | None = None
        self._is_enough: Callable[[Answer], object] = IS_WHOLE
        self._failure: TransportFailure | None = None
        self._is_paused = False
        self._sink: Sink | None = None
        self._silence_s = 0.0
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._transport: Any = None
        self._waiting: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._expiry: asyncio.TimerHandle | None = None
        self._expires_at = 0.0

    async def exchange(
        self, request: Request, data: bytes, deadline: float, is_enough: Callable[[Answer], object] = IS_WHOLE
    ) -> Answer:
        """Send a request and wait until enough of the answer came.

        Raises:
            TransportFailure: It did not come; the connection is closed.
        """
        answer = self._ask(request.method, data, is_enough)
        if not isinstance(request.body, bytes | None):
            await self._send(request.body, request.timeout_s)
            deadline = self.loop.time() + request.timeout_s
        await self._wait(deadline)
        return answer

    def _ask(self, method: str, data: bytes, is_enough: Callable[[Answer], object]) -> Answer:
        self.answer = answer = Answer(method)
        self._is_enough = is_enough
        self._transport.write(data)
        return answer

    async def _send(self, content: Content, timeout_s: float) -> None:
        blocks = content.blocks()
        try:
            # Not read on the loop: it waits for a disk.
            while not self.is_closed and (block := await asyncio.to_thread(next, blocks, b"")):
                if self._has_enough():  # it was refused before it was all sent
                    assert self.answer is not None
                    self.answer.may_stay_open = False
                    return
                self._transport.write(block)
                async with asyncio.timeout(timeout_s):
                    await self._has_room.wait()
        except TimeoutError as error:
            self.abort()
            raise TransportFailure("time ran out", was_sent=True, timed_out=True) from error
        except BaseException:  # also what reading the content raises: half of it was sent
            self.abort()
            raise

    async def read(self, deadline: float) -> None:
        """Wait until there is more of the answer's body, or all of it.

        Raises:
            TransportFailure: It did not come; the connection is closed.
        """
        assert self.answer is not None
        self._is_enough = HAS_BODY
        await self._wait(deadline)
        self.receive()

    async def pour(self, sink: Sink, silence_s: float) -> None:
        """Give ``sink`` what comes of the answer's body, until it returns ``False`` or raises, or the body is whole.

        Raises:
            TransportFailure: Nothing came for ``silence_s``, or the connection broke off; it is closed.
        """
        self._is_enough = HAS_BODY
        self.receive()
        self._sink, self._silence_s = sink, silence_s
        try:
            await self._wait(self.loop.time() + silence_s)
        finally:
            self._sink = None  # also where the task was cancelled

    def receive(self) -> None:
        """Take from the network again, where that was stopped."""
        if self._is_paused:
            self._is_paused = False
            if not self.is_closed:
                self._transport.resume_reading()

    async def open_tunnel(self, encrypted: dict[str, Any]) -> None:
        """Ask the proxy to connect through, and encrypt what goes on from there.

        Raises:
            OSError: The proxy does not, or the other side cannot be trusted.
        """
        answer = self._ask("CONNECT", self.route.tunnel_request(), IS_WHOLE)
        await self._wait(self.loop.time() + CONNECT_TIMEOUT_S)
        answer.check_tunnel()
        self.answer = None
        self._transport = await self.loop.start_tls(
            self._transport, self, encrypted["ssl"], server_hostname=encrypted["server_hostname"]
        )

    def abort(self) -> None:
        """Close the connection now."""
        self.is_closed = True
        self._expect_nothing()
        if self._transport is not None and not self.loop.is_closed():
            self._transport.abort()

    async def _wait(self, deadline: float) -> None:
        if self._has_enough():
            return  # it came before it was waited for: while the last of a long body was being sent
        if self._failure is not None:
            self.abort()
            raise self._failure
        self._waiting = self.loop.create_future()
        self._expect(deadline)
        try:
            await self._waiting  # what fails after it was woken is for who waits next
        except BaseException:  # also when cancelled: what is still to come must not be taken for another answer
            self.abort()
            raise
        finally:
            self._waiting = None

    def _has_enough(self) -> bool:
        return self.answer is not None and bool(self._is_enough(self.answer) or self.answer.is_complete)

    def _wake(self, error: Exception | None = None) -> None:
        self._sink = None  # what comes until whoever waits asks again is kept
        self._has_room.set()  # whoever is still sending looks whether that is needed any more
        if self._waiting is not None and not self._waiting.done():
            if error is None:
                self._waiting.set_result(None)
            else:
                self._waiting.set_exception(error)

    def _expect(self, deadline: float) -> None:
        """Set the time at which what is waited for is late. One timer outlasts many waits: a stream has thousands."""
        self._deadline = deadline
        if self._expiry is None or deadline < self._expires_at:
            self._expect_nothing()
            self._expiry, self._expires_at = self.loop.call_at(deadline, self._expire), deadline

    def _expect_nothing(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def _expire(self) -> None:
        self._expiry = None
        if self._waiting is None or self._has_enough():
            return
        if self.loop.time() < self._deadline:
            self._expect(self._deadline)
        else:
            self._fail(TransportFailure("time ran out", was_sent=True, timed_out=True))

    def _fail(self, failure: TransportFailure) -> None:
        self._failure = self._failure or failure
        self._wake(self._failure)

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        answer = self.answer
        if answer is None:
            self.abort()  # it speaks without being asked
            return
        try:
            answer.feed(data)
        except TransportFailure as failure:
            self._fail(failure)
            return
        if self._sink is not None:  # as the body is poured, this is what happens to each piece of it
            wants_more = not answer.is_complete
            if answer.held_bytes:
                self._deadline = self.loop.time() + self._silence_s
                try:
                    wants_more = self._sink(answer.take()) and wants_more
                except Exception as error:  # it is for whoever waits, not for the loop
                    self._wake(error)
                    return
            if not wants_more:
                self._wake()
        elif self._has_enough():
            self._wake()
        if answer.held_bytes > HELD_BYTES and self._is_enough is not IS_WHOLE and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        self._end(None)

    def pause_writing(self) -> None:
        self._has_room.clear()

    def resume_writing(self) -> None:
        self._has_room.set()

    def connection_lost(self, error: Exception | None) -> None:
        self._expect_nothing()
        self.is_closed = True
        self._has_room.set()
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        self.is_closed = True
        answer = self.answer
        if answer is None or answer.is_complete or self._failure is not None:
            return
        if error is None and answer.end():
            self._wake()
            return
        kind = TransportFailure if answer.has_begun and error is not None else Gone
        told = reason(error) if error is not None else "the connection was closed before the answer was whole"
        self._fail(kind(told, was_sent=True))
