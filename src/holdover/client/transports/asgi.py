"""To an ASGI application in this process: no socket, no server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit
from weakref import WeakSet

from . import AsyncIncoming, Incoming, Request, Response, TransportFailure

T = TypeVar("T")

Application = Callable[[Any, Any, Any], Coroutine[Any, Any, None]]

#: An application whose stream nobody reads waits when it has sent so much.
HELD_BYTES = 64 * 1024
#: How long an application whose caller left may take to notice, in seconds.
GRACE_S = 5.0


class ASGITransport:
    """Calls an application on the running loop. See `holdover.client.transports.AsyncTransport`."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._streaming: WeakSet[_Incoming] = WeakSet()
        self._has_ended = False

    async def send(self, request: Request) -> Response:
        self._check_open()
        conversation = _Conversation(request)
        try:
            async with asyncio.timeout(request.timeout_s):
                await self._app(conversation.scope, conversation.receive, conversation.send)
        except TimeoutError as error:
            raise _late() from error
        if conversation.failure is not None:
            raise conversation.failure
        return Response(conversation.status or 500, conversation.headers, b"".join(conversation.parts))

    async def stream(self, request: Request) -> AsyncIncoming:
        self._check_open()
        incoming = _Incoming(self._app, request)
        self._streaming.add(incoming)
        try:
            await incoming.wait_for_head()
        except BaseException:
            await incoming.close()
            raise
        return incoming

    async def close(self) -> None:
        await asyncio.gather(*(incoming.close() for incoming in list(self._streaming)))

    async def end(self) -> None:
        """Close, and refuse what comes after this: the application ends."""
        self._has_ended = True
        await self.close()

    def _check_open(self) -> None:
        if self._has_ended:
            raise _ended(was_sent=False)


class ThreadedASGITransport:
    """Calls an application on a loop that runs in another thread, for sync clients."""

    def __init__(self, app: Application, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = ASGITransport(app)
        self._loop = loop
        self._lock = threading.Lock()
        self._under_way: set[Future[Any]] = set()
        self._has_ended = False

    def send(self, request: Request) -> Response:
        return self.wait_for(self._transport.send(request))

    def stream(self, request: Request) -> Incoming:
        return _ThreadedIncoming(self.wait_for(self._transport.stream(request)), self)

    def close(self) -> None:
        with suppress(TransportFailure):  # the application has ended: nothing is open any more
            self.wait_for(self._transport.close())

    def end(self) -> None:
        """Close, and refuse what comes after this: the application ends, and its loop with it. Who waits is told."""
        with self._lock:
            self._has_ended = True
        for future in list(self._under_way):
            future.cancel()
        asyncio.run_coroutine_threadsafe(self._transport.end(), self._loop).result()

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for something that is done on the loop."""
        with self._lock:
            if self._has_ended or self._loop.is_closed():
                work.close()
                raise _ended(was_sent=False)
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
            self._under_way.add(future)
        try:
            return future.result()
        except CancelledError as error:
            raise _ended(was_sent=True) from error
        except BaseException:  # when interrupted: nobody waits for it any more
            future.cancel()
            raise
        finally:
            self._under_way.discard(future)


class _ThreadedIncoming:
    def __init__(self, incoming: AsyncIncoming, transport: ThreadedASGITransport) -> None:
        self.status = incoming.status
        self.headers = incoming.headers
        self._incoming = incoming
        self._transport = transport

    def read(self, timeout_s: float | None = None) -> bytes:
        return self._transport.wait_for(self._incoming.read(timeout_s))

    def close(self) -> None:
        with suppress(TransportFailure):  # all streams were closed, and this with them
            self._transport.wait_for(self._incoming.close())


def _ended(*, was_sent: bool) -> TransportFailure:
    return TransportFailure("the service in this process was closed", was_sent=was_sent, is_final=True)


class _Conversation:
    """A request, and what an application answers to it.

    Attributes:
        is_complete: Whether the application has said all.
        has_news: Set when the application has sent something.
        parts: What came of the body and was not taken yet.
        failure: Why the request could not be read to its end; to the application, its caller has left.
    """

    def __init__(self, request: Request) -> None:
        address = urlsplit(request.url)
        body = request.body or b""
        self._blocks = iter([body]) if isinstance(body, bytes) else body.blocks()
        self._left = len(body) if isinstance(body, bytes) else body.length
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.items()]
        headers += [(b"host", address.netloc.encode("latin-1")), (b"content-length", b"%d" % self._left)]
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": address.scheme,
            "path": address.path,
            "raw_path": address.path.encode("ascii"),
            "query_string": address.query.encode("ascii"),
            "root_path": "",
            "headers": headers,
            "client": None,
            "server": None,
        }
        self.status = 0
        self.failure: Exception | None = None
        self.headers: dict[str, str] = {}
        self.parts: list[bytes] = []
        self.is_complete = False
        self.has_news = asyncio.Event()
        self._was_read = False
        self._has_left = asyncio.Event()

    async def receive(self) -> Mapping[str, Any]:
        if not self._was_read:
            try:
                block = await self._next_block()
            except Exception as error:
                self.failure = error
                return {"type": "http.disconnect"}
            self._left -= len(block)
            self._was_read = self._left <= 0
            return {"type": "http.request", "body": block, "more_body": not self._was_read}
        await self._has_left.wait()
        return {"type": "http.disconnect"}

    async def _next_block(self) -> bytes:
        if self._left <= HELD_BYTES:
            return next(self._blocks, b"")
        return await asyncio.to_thread(next, self._blocks, b"")  # it waits for a disk, perhaps

    async def send(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
        else:
            if body := message.get("body", b""):
                self.parts.append(body)
            self.is_complete = not message.get("more_body", False)
        self.has_news.set()

    def leave(self) -> None:
        """Tell the application that nobody listens any more."""
        self._has_left.set()


class _Incoming:
    """An answer whose body is still to come. See `holdover.client.transports.AsyncIncoming`."""

    def __init__(self, app: Application, request: Request) -> None:
        self._conversation = conversation = _Conversation(request)
        self._timeout_s = request.timeout_s
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_closed = False
        self._task = asyncio.ensure_future(app(conversation.scope, conversation.receive, self._send))
        self._task.add_done_callback(lambda task: conversation.has_news.set())

    @property
    def status(self) -> int:
        return self._conversation.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._conversation.headers

    async def wait_for_head(self) -> None:
        while not self.status:
            await self._wait(self._timeout_s)

    async def read(self, timeout_s: float | None = None) -> bytes:
        conversation = self._conversation
        while not (conversation.parts or conversation.is_complete):
            await self._wait(timeout_s or self._timeout_s)
        data = b"".join(conversation.parts)
        conversation.parts.clear()
        self._has_room.set()
        return data

    async def close(self) -> None:
        self._is_closed = True
        self._conversation.leave()
        self._conversation.has_news.set()
        self._has_room.set()
        try:
            await asyncio.wait([self._task], timeout=GRACE_S)
        finally:
            self._task.cancel()
            if self._task.done() and not self._task.cancelled():
                self._task.exception()  # it is of no interest now, and would be told of as forgotten

    async def _wait(self, timeout_s: float) -> None:
        """Wait until the application has sent something."""
        if self._is_closed:
            raise TransportFailure("the stream was closed", was_sent=True)
        if self._task.done():
            error = None if self._task.cancelled() else self._task.exception()
            raise TransportFailure("the service in this process ended its answer too early", was_sent=True) from error
        self._conversation.has_news.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._conversation.has_news.wait()
        except TimeoutError as error:
            raise _late() from error

    async def _send(self, message: Mapping[str, Any]) -> None:
        if self._is_closed:
            return
        await self._conversation.send(message)
        if sum(map(len, self._conversation.parts)) > HELD_BYTES:
            self._has_room.clear()
            await self._has_room.wait()


def _late() -> TransportFailure:
    return TransportFailure("the service did not answer in time", was_sent=True, timed_out=True)
