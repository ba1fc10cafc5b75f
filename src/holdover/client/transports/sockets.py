"""The network, for sync clients: sockets that wait, kept open between calls.

Ctrl-C ends a wait at once, threads share the connections, and a forked process opens its own.
"""

from __future__ import annotations

import os
import select
import socket
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from . import Content, Incoming, Request, Response, TransportFailure
from .http1 import (
    CONNECT_TIMEOUT_S,
    HAS_BODY,
    HAS_HEAD,
    IS_WHOLE,
    MAX_IDLE_S,
    READ_BYTES,
    SAFE,
    Answer,
    Gone,
    Route,
    Routes,
    encode,
    not_opened,
    reason,
)

#: A wait is broken off for a moment so often, in seconds: a signal that came just before it is not seen while it lasts.
LOOK_UP_S = 1.0


class SocketTransport:
    """Sends requests over the network. See `holdover.client.transports.Transport`."""

    def __init__(self) -> None:
        self._routes = Routes()
        self._idle: dict[Route, list[_Connection]] = {}
        self._process = os.getpid()
        self._tls: Any = None

    def send(self, request: Request) -> Response:
        connection, answer = self._ask(request, IS_WHOLE)
        self._let_go(connection, answer)
        return answer.response()

    def stream(self, request: Request) -> Incoming:
        connection, answer = self._ask(request, HAS_HEAD)
        return _Incoming(answer, connection, self._let_go, request.timeout_s)

    def close(self) -> None:
        idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def _ask(self, request: Request, is_enough: Callable[[Answer], object]) -> tuple[_Connection, Answer]:
        deadline = time.monotonic() + request.timeout_s
        route, path = self._routes.find(request.url)
        data = encode(request, route, path)
        connection = self._take(route)
        if connection is not None:
            try:
                return connection, connection.exchange(request, data, deadline, is_enough)
            except Gone:
                if request.method not in SAFE:
                    raise
        connection = self._open(route, deadline)
        return connection, connection.exchange(request, data, deadline, is_enough)

    def _let_go(self, connection: _Connection, answer: Answer) -> None:
        """Keep a connection for other calls, if it can be used again."""
        if answer.may_stay_open:
            connection.idle_since = time.monotonic()
            self._idle.setdefault(connection.route, []).append(connection)
        else:
            connection.close()

    def _take(self, route: Route) -> _Connection | None:
        if self._process != os.getpid():
            # The parent's connections: this process only lets go of its copies.
            self._process = os.getpid()
            self.close()
        connections = self._idle.get(route)
        while connections:
            try:
                connection = connections.pop()
            except IndexError:  # another thread was quicker
                return None
            if connection.is_usable():
                return connection
            connection.close()
        return None

    def _open(self, route: Route, deadline: float) -> _Connection:
        timeout_s = min(CONNECT_TIMEOUT_S, max(deadline - time.monotonic(), 0.001))
        opened: Any = None
        try:
            opened = socket.create_connection(route.peer, timeout_s)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if route.has_tunnel:
                _open_tunnel(opened, route)
            if route.is_tls:
                opened = self._tls_context().wrap_socket(opened, server_hostname=route.host)
        except (OSError, UnicodeError) as error:
            if opened is not None:
                opened.close()
            raise not_opened(error) from error
        except BaseException:
            if opened is not None:
                opened.close()
            raise
        return _Connection(route, opened)

    def _tls_context(self) -> Any:
        if self._tls is None:
            import ssl

            self._tls = ssl.create_default_context()
        return self._tls


class _Incoming:
    """An answer whose body is still to come. See `holdover.client.transports.Incoming`."""

    def __init__(
        self, answer: Answer, connection: _Connection, let_go: Callable[[_Connection, Answer], None], timeout_s: float
    ) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self._answer = answer
        self._connection: _Connection | None = connection
        self._let_go = let_go
        self._timeout_s = timeout_s
        self._is_reading = False

    def read(self, timeout_s: float | None = None) -> bytes:
        connection = self._connection
        if connection is not None:
            if not self._answer.held_bytes:
                deadline = time.monotonic() + (timeout_s or self._timeout_s)
                self._is_reading = True
                try:
                    connection.receive(self._answer, deadline, HAS_BODY)
                finally:
                    self._is_reading = False
            if self._answer.is_complete:
                self._connection = None
                self._let_go(connection, self._answer)
        return self._answer.take()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.end()
            # A thread that waits for it is woken by its end, not by its closing, and closes it then.
            if not self._is_reading:
                connection.close()


class _Connection:
    """An open connection; it carries one exchange at a time."""

    def __init__(self, route: Route, opened: socket.socket) -> None:
        self.route = route
        self.idle_since = 0.0
        self._socket = opened
        self._has_input = _watch(opened)
        # A client need not be closed: what it kept open goes with it, and without a warning.
        self._close = weakref.finalize(self, opened.close)

    def exchange(self, request: Request, data: bytes, deadline: float, is_enough: Callable[[Answer], object]) -> Answer:
        """Send a request and wait until enough of the answer came.

        Raises:
            TransportFailure: It did not come; the connection is closed.
        """
        answer = Answer(request.method)
        if not isinstance(request.body, bytes | None):
            self._send(data, request.body, request.timeout_s)
            data, deadline = b"", time.monotonic() + request.timeout_s
        self.receive(answer, deadline, is_enough, data)
        return answer

    def _send(self, head: bytes, content: Content, timeout_s: float) -> None:
        try:
            self._socket.settimeout(timeout_s)
            self._socket.sendall(head)
            for block in content.blocks():
                try:
                    self._socket.sendall(block)
                except (BrokenPipeError, ConnectionResetError):
                    return  # it was answered before it was whole, perhaps: that is seen next
        except TimeoutError as error:
            self.close()
            raise TransportFailure("time ran out", was_sent=True, timed_out=True) from error
        except BaseException:  # also what reading the content raises: half of it was sent
            self.close()
            raise

    def receive(
        self, answer: Answer, deadline: float, is_enough: Callable[[Answer], object], asking: bytes = b""
    ) -> None:
        """Receive until enough of an answer came, or all; first ask for it, if it was not yet.

        Raises:
            TransportFailure: It did not come; the connection is closed.
        """
        try:
            if asking:
                self._socket.settimeout(_left(deadline))
                self._socket.sendall(asking)
            while not (is_enough(answer) or answer.is_complete):
                self._socket.settimeout(min(_left(deadline), LOOK_UP_S))
                try:
                    part = self._socket.recv(READ_BYTES)
                except TimeoutError:
                    continue
                if part:
                    answer.feed(part)
                elif not answer.end():
                    raise Gone("the connection was closed before the answer was whole", was_sent=True)
        except BaseException as error:  # also when interrupted: what is still to come must not be taken for another's
            self.close()
            if isinstance(error, TimeoutError):
                raise TransportFailure("time ran out", was_sent=True, timed_out=True) from error
            if isinstance(error, OSError):
                kind = TransportFailure if answer.has_begun else Gone
                raise kind(reason(error), was_sent=True) from error
            raise

    def is_usable(self) -> bool:
        """Whether an idle connection is young, and the other side has neither closed it nor said anything."""
        return time.monotonic() - self.idle_since < MAX_IDLE_S and not self._has_input()

    def end(self) -> None:
        """Have nothing come any more: whoever waits for something is told so."""
        with suppress(OSError):  # it has ended already
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # that of TLS would take its state from a reader

    def close(self) -> None:
        self._close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _watch(opened: socket.socket) -> Callable[[], object]:
    """Return a function that says whether there is something to read, without waiting."""
    if hasattr(select, "poll"):
        watcher = select.poll()
        watcher.register(opened, select.POLLIN)
        return lambda: watcher.poll(0)
    return lambda: select.select([opened], [], [], 0)[0]


def _open_tunnel(opened: socket.socket, route: Route) -> None:
    opened.sendall(route.tunnel_request())
    answer = Answer("CONNECT")
    while not answer.is_complete:
        part = opened.recv(READ_BYTES)
        if not part:
            raise OSError("the proxy closed the connection")
        answer.feed(part)
    answer.check_tunnel()
