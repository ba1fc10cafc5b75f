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
from typing import Any

from . import Request, Response, TransportFailure
from .http1 import (
    CONNECT_TIMEOUT_S,
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


class SocketTransport:
    """Sends requests over the network. See `holdover.client.transports.Transport`."""

    def __init__(self) -> None:
        self._routes = Routes()
        self._idle: dict[Route, list[_Connection]] = {}
        self._process = os.getpid()
        self._tls: Any = None

    def send(self, request: Request) -> Response:
        deadline = time.monotonic() + request.timeout_s
        route, path = self._routes.find(request.url)
        data = encode(request, route, path)
        connection = self._take(route)
        if connection is not None:
            try:
                return self._exchange(connection, request.method, data, deadline)
            except Gone:
                if request.method not in SAFE:
                    raise
        return self._exchange(self._open(route, deadline), request.method, data, deadline)

    def close(self) -> None:
        idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def _exchange(self, connection: _Connection, method: str, data: bytes, deadline: float) -> Response:
        try:
            answer = connection.exchange(method, data, deadline)
        except BaseException:  # also when interrupted: what is still to come must not be taken for another answer
            connection.close()
            raise
        if answer.may_stay_open:
            connection.idle_since = time.monotonic()
            self._idle.setdefault(connection.route, []).append(connection)
        else:
            connection.close()
        return answer.response()

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


class _Connection:
    """An open connection; it carries one exchange at a time."""

    def __init__(self, route: Route, opened: socket.socket) -> None:
        self.route = route
        self.idle_since = 0.0
        self._socket = opened
        self._has_input = _watch(opened)
        # A client need not be closed: what it kept open goes with it, and without a warning.
        self._close = weakref.finalize(self, opened.close)

    def exchange(self, method: str, data: bytes, deadline: float) -> Answer:
        """Send a request and wait for the whole answer.

        Raises:
            TransportFailure: It did not come.
        """
        answer = Answer(method)
        try:
            self._socket.settimeout(_left(deadline))
            self._socket.sendall(data)
            while True:
                self._socket.settimeout(_left(deadline))
                part = self._socket.recv(READ_BYTES)
                if answer.feed(part) if part else answer.end():
                    return answer
                if not part:
                    raise Gone("the connection was closed before the answer was whole", was_sent=True)
        except TimeoutError as error:
            raise TransportFailure("time ran out", was_sent=True, timed_out=True) from error
        except OSError as error:
            kind = TransportFailure if answer.has_begun else Gone
            raise kind(reason(error), was_sent=True) from error

    def is_usable(self) -> bool:
        """Whether an idle connection is young, and the other side has neither closed it nor said anything."""
        return time.monotonic() - self.idle_since < MAX_IDLE_S and not self._has_input()

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
