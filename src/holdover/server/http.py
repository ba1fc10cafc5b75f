"""HTTP for a service that faces anyone: uvicorn's protocol with limits on what a client may send and how slowly.

uvicorn leaves these to a proxy in front; Holdover is meant to be run without one.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from holdover.errors import APIStatusError, BadRequestError, ConfigurationError, InternalServerError

from .app import CLOSE, Application, envelope

#: Request line and headers together.
HEAD_LIMIT_BYTES = 64 * 1024
#: How long a client may take to send them, from its first byte or from connecting.
HEAD_TIMEOUT_S = 20.0
#: How long a client may leave an answer unread while it fills the buffers.
WRITE_TIMEOUT_S = 60.0
#: How long an idle connection is kept; longer than the SDKs keep theirs, so that they are the ones to close it.
KEEP_ALIVE_S = 75

_STATUS_LINES = {
    400: b"400 Bad Request",
    408: b"408 Request Timeout",
    431: b"431 Request Header Fields Too Large",
    503: b"503 Service Unavailable",
}


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_in_head = True
        self._has_ended = False
        self._is_declining = False
        self._fed = b""
        self._head_bytes = 0
        self._unread_bytes = 0  # fed to the parser since it last made something of them
        self._head_deadline: asyncio.TimerHandle | None = None
        self._write_deadline: asyncio.TimerHandle | None = None
        self._outlet: Outlet | None = None

    # How long

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def on_message_begin(self) -> None:
        if self._is_declining:
            return
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        if self._is_declining:
            return
        self._is_in_head = False
        self._unread_bytes = 0
        self._expect_no_head()
        super().on_headers_complete()
        self.scope["state"]["body"] = partial(_body, self.cycle)
        self.scope["state"]["answer"] = partial(_answer, self.cycle)
        self.scope["state"]["begin"] = partial(self._begin, self.cycle)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadlines()
        super().connection_lost(exc)
        if self._outlet is not None:
            self._outlet.on_leave()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_deadline = self.loop.call_later(WRITE_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None
        if self._outlet is not None:
            self._outlet.on_room()

    def _begin(self, cycle: Any, status: int, headers: list[tuple[bytes, bytes]]) -> Outlet | None:
        """Begin an answer that comes piece by piece; ``None`` if it must be sent in the usual way."""
        if cycle.disconnected or cycle.scope["method"] == "HEAD" or cycle.scope["http_version"] != "1.1":
            return None
        self._outlet = Outlet(cycle, status, headers)
        return self._outlet

    def _is_idle(self) -> bool:
        """Whether no request is being read or answered."""
        cycle: Any = self.cycle  # None before the first request
        return cycle is None or cycle.response_complete

    def _expect_head(self) -> None:
        if self._head_deadline is None:
            self._head_deadline = self.loop.call_later(HEAD_TIMEOUT_S, self._head_is_late)

    def _expect_no_head(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _head_is_late(self) -> None:
        self._head_deadline = None
        if not self.transport.is_closing():
            self._refuse(APIStatusError("The head of your request did not arrive in time.", status=408))

    def _cancel_deadlines(self) -> None:
        self._expect_no_head()
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None

    # How much

    def on_url(self, url: bytes) -> None:
        if self._is_declining:
            return
        super().on_url(url)
        self._head_bytes += len(url)
        if self._head_bytes > HEAD_LIMIT_BYTES:
            raise _HeadTooLarge

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_in_head and not self._is_declining:  # what comes after a body is no header
            super().on_header(name, value)
        self._unread_bytes = 0
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > HEAD_LIMIT_BYTES:
            raise _HeadTooLarge

    def on_body(self, body: bytes) -> None:
        self._unread_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread_bytes = 0
        if self.parser.should_upgrade() and self._framing():
            return  # the body is still to come: see _unsupported_upgrade_warning
        if self._is_idle():
            self._expect_no_head()  # this was the rest of a body that was answered already
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        if self._has_ended or self.transport.is_closing():
            return
        if self._is_idle():
            self._expect_head()
        self._unread_bytes += len(data)
        self._fed = data
        try:
            super().data_received(data)
        except _HeadTooLarge:
            self.send_400_response("")
        if self._unread_bytes > HEAD_LIMIT_BYTES and not self.transport.is_closing():
            self._head_bytes = self._unread_bytes  # a line without end
            self.send_400_response("")

    # What is offered and declined

    def _framing(self) -> list[tuple[bytes, bytes]]:
        return [each for each in self.headers if each[0] in (b"content-length", b"transfer-encoding")]

    def _unsupported_upgrade_warning(self) -> None:
        """Go on in HTTP/1.1 where the parser stops for another protocol: before the body, if there is one.

        Java's own client offers HTTP/2 with the first request of a connection, whatever that request is.
        """
        offer = sys.exc_info()[1]
        rest = self._fed[offer.args[0] :] if isinstance(offer, httptools.HttpParserUpgrade) else b""
        if framing := self._framing():
            self.parser = httptools.HttpRequestParser(self)
            self._is_declining = True
            self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(b"%b: %b\r\n" % each for each in framing))
            self._is_declining = False
        if rest:
            self.data_received(rest)

    # What cannot be read

    def send_400_response(self, msg: str) -> None:
        if not self._is_idle():
            self._end_here()  # answers come in the order of their requests
        elif self._head_bytes > HEAD_LIMIT_BYTES:  # the parser wraps what its callbacks raise
            self._refuse_head()
        else:
            self._refuse(BadRequestError("Your request is not HTTP that can be read."))

    def _refuse_head(self) -> None:
        self._refuse(
            APIStatusError(
                f"The head of your request is too large: it may have up to {HEAD_LIMIT_BYTES} bytes.", status=431
            )
        )

    def _refuse(self, error: APIStatusError) -> None:
        self._cancel_deadlines()
        body = envelope(error)
        self.transport.write(
            b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (_STATUS_LINES[error.status], len(body), body)
        )
        self.transport.close()

    # Half-closed connections

    def eof_received(self) -> bool:  # type: ignore[override]
        """Let a request that is under way be answered though its client will send nothing more."""
        if self._is_idle():
            return False
        self.cycle.scope["state"]["says_no_more"] = True
        self._end_here()
        return True

    def _end_here(self) -> None:
        """Read no further request: the one under way is answered, or refused if its body is not whole."""
        self._has_ended = True
        cycle = self.cycle
        cycle.keep_alive = False
        if cycle.more_body:
            cycle.scope["state"]["body_is_cut_short"] = True
            cycle.more_body = False
        cycle.message_event.set()

    def give_up(self) -> None:
        """Let go of a request that is still not answered when the service must end."""
        if self._is_idle() or self.cycle.response_started:
            self.transport.close()
        else:
            self._refuse(InternalServerError("The service is stopping; send your request again.", status=503))


class _HeadTooLarge(Exception):
    pass


def _body(cycle: Any) -> bytes | None:
    """Return the whole body of a request, if it has come; nothing has to be waited for then, nor timed."""
    if cycle.more_body or cycle.disconnected:
        return None
    body, cycle.body = bytes(cycle.body), bytearray()
    cycle.message_event.clear()
    cycle.flow.resume_reading()
    return body


def _answer(cycle: Any, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bool:
    """Write a whole answer at once; return whether that could be done, or it must be sent in the usual way.

    Two messages of ASGI take uvicorn longer than all that the application does for a look-up.
    """
    if cycle.disconnected or cycle.flow.write_paused:
        return False
    head = _head(cycle, status, headers)
    cycle.transport.write(head if cycle.scope["method"] == "HEAD" else head + body)
    _complete(cycle)
    return True


class Outlet:
    """An answer that is written piece by piece, each in one write. See `holdover.server.streams.Outlet`."""

    def __init__(self, cycle: Any, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._cycle = cycle
        self._head = _head(cycle, status, [*headers, (b"transfer-encoding", b"chunked")])
        self.on_room: Callable[[], None] = lambda: None
        self.on_leave: Callable[[], None] = lambda: None

    def open(self) -> None:
        if not self._cycle.disconnected:
            head, self._head = self._head, b""
            self._cycle.transport.write(head)

    def write(self, data: bytes) -> bool:
        cycle = self._cycle
        if data and not cycle.disconnected:  # an empty chunk would be the end
            head, self._head = self._head, b""
            cycle.transport.write(b"%b%x\r\n%b\r\n" % (head, len(data), data))
        return not cycle.flow.write_paused

    def end(self) -> None:
        cycle = self._cycle
        self.on_room = self.on_leave = lambda: None
        if not cycle.disconnected:
            cycle.transport.write(self._head + b"0\r\n\r\n")
            _complete(cycle)


def _head(cycle: Any, status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return the head of an answer, which is begun."""
    cycle.response_started = True
    cycle.waiting_for_100_continue = False
    cycle.keep_alive = cycle.keep_alive and CLOSE not in headers
    parts = [STATUS_LINE[status]]
    for name, value in (*cycle.default_headers, *headers):
        parts += (name, b": ", value, b"\r\n")
    if not cycle.keep_alive and CLOSE not in headers:
        parts.append(b"connection: close\r\n")
    parts.append(b"\r\n")
    return b"".join(parts)


def _complete(cycle: Any) -> None:
    """Let the connection take its next request, or close it: this one was answered."""
    cycle.response_complete = True
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()


class Server(uvicorn.Server):
    """uvicorn's server: says when it can be called, and ends with an exit status of 0 once it has drained."""

    def __init__(
        self,
        config: uvicorn.Config,
        drain_s: float,
        on_ready: Callable[[], None],
        on_stop: Callable[[], Coroutine[Any, Any, None]] | None,
    ) -> None:
        super().__init__(config)
        self._on_stop = on_stop
        self._drain_s = drain_s
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        giving_up = asyncio.get_running_loop().call_later(self._drain_s, self._give_up)
        stopping = asyncio.ensure_future(self._on_stop()) if self._on_stop else None
        await super().shutdown(sockets)
        giving_up.cancel()
        if stopping is not None:
            await stopping

    def _give_up(self) -> None:
        for connection in list(self.server_state.connections):
            connection.give_up()  # type: ignore[union-attr]

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        handled = (signal.SIGTERM, signal.SIGINT)
        try:
            for each in handled:
                loop.add_signal_handler(each, self.handle_exit, each, None)
        except (NotImplementedError, RuntimeError):  # Windows, or not the main thread
            with super().capture_signals():
                yield
            return
        try:
            yield
        finally:
            for each in handled:
                loop.remove_signal_handler(each)


def server(
    app: Application,
    *,
    drain_s: float,
    on_ready: Callable[[], None],
    on_stop: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> Server:
    """Return a server for an application; serve it with ``await server.serve(sockets=[…])``.

    ``on_stop`` is carried out when it is told to stop, beside what it still answers.
    """
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(drain_s) + 1,  # what the server itself has not let go by then is cancelled
    )
    return Server(config, drain_s, on_ready, on_stop)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        ConfigurationError: The address is not this machine's, or something listens there already.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        opened = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigurationError(f"{host} is not an address to listen on: {error.strerror}.") from error
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(2048)
    except OSError as error:
        opened.close()
        raise ConfigurationError(
            f"Port {port} of {host} cannot be listened on: {error.strerror}. Another service may be running there; "
            "choose another port with --port."
        ) from error
    return opened
