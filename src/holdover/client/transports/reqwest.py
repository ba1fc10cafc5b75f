"""The network, through ``pyreqwest``: pooled connections, proxies and certificates from the environment.

Two things about it have to be lived with. Its runtime does not survive a fork: a client used before one hangs in the
child, and no new one can be made there; so the process is noted when the first client is made, and a child is served
by the standard library instead. And while it waits it does not see signals, and ends the process when one has come
meanwhile; so the main thread, which is where signals arrive, lets another one wait (`_Waiter`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import timedelta
from queue import SimpleQueue
from typing import Any

from . import AsyncTransport, Request, Response, Transport, TransportFailure, is_direct

CONNECT_TIMEOUT_S = 5.0

#: The process in which pyreqwest's runtime was started; it works in no child of it.
_runtime_process: int | None = None

_MAIN_THREAD = threading.main_thread().ident

_durations: dict[float, timedelta] = {}


class ReqwestTransport:
    """Sends requests over the network. See `holdover.client.transports.Transport`."""

    def __init__(self) -> None:
        self._clients: dict[bool, Any] = {}
        self._waiters = _Waiters(self._send)
        self._in_child: Transport | None = None

    def send(self, request: Request) -> Response:
        if _is_child():
            return self._child_transport().send(request)
        if threading.get_ident() == _MAIN_THREAD:
            return self._waiters.send(request)
        return self._send(request)

    def close(self) -> None:
        self._waiters.close()
        clients, self._clients = self._clients, {}
        for client in () if _is_child() else clients.values():
            client.close()

    def _send(self, request: Request) -> Response:
        try:
            response = _prepared(self._client(request.url), request).send()
            return Response(response.status, response.headers, bytes(response.bytes()))
        except _errors().PyreqwestError as error:
            raise _translated(error, request) from error

    def _client(self, url: str) -> Any:
        direct = is_direct(url)
        client = self._clients.get(direct)
        if client is None:
            from pyreqwest.client import SyncClientBuilder

            client = self._clients[direct] = _configured(SyncClientBuilder(), direct).build()
        return client

    def _child_transport(self) -> Transport:
        if self._in_child is None:
            from .standard import StandardTransport

            self._in_child = StandardTransport()
        return self._in_child


class AsyncReqwestTransport:
    """The same for async clients."""

    def __init__(self) -> None:
        self._clients: dict[bool, Any] = {}
        self._in_child: AsyncTransport | None = None

    async def send(self, request: Request) -> Response:
        if _is_child():
            return await self._child_transport().send(request)
        try:
            response = await _prepared(self._client(request.url), request).send()
            return Response(response.status, response.headers, bytes(await response.bytes()))
        except _errors().PyreqwestError as error:
            raise _translated(error, request) from error

    async def close(self) -> None:
        clients, self._clients = self._clients, {}
        for client in () if _is_child() else clients.values():
            await client.close()

    def _client(self, url: str) -> Any:
        direct = is_direct(url)
        client = self._clients.get(direct)
        if client is None:
            from pyreqwest.client import ClientBuilder

            client = self._clients[direct] = _configured(ClientBuilder(), direct).build()
        return client

    def _child_transport(self) -> AsyncTransport:
        if self._in_child is None:
            from .standard import AsyncStandardTransport

            self._in_child = AsyncStandardTransport()
        return self._in_child


class _Waiters:
    """Threads that wait for answers in the main thread's place, so that Ctrl-C ends the wait at once.

    A wait that was interrupted goes on unheeded, and its thread takes up other work when it is over; usually there is
    one thread. They are daemons: none keeps the process from ending.
    """

    def __init__(self, send: Callable[[Request], Response]) -> None:
        self._send = send
        self._idle: list[SimpleQueue[_Waiting | None]] = []

    def send(self, request: Request) -> Response:
        waiting = _Waiting(request)
        try:
            inbox = self._idle.pop()
        except IndexError:
            inbox = self._start()
        inbox.put(waiting)
        waiting.done.acquire()
        if waiting.error is not None:
            raise waiting.error
        assert waiting.response is not None
        return waiting.response

    def close(self) -> None:
        idle, self._idle = self._idle, []
        for inbox in idle:
            inbox.put(None)

    def _start(self) -> SimpleQueue[_Waiting | None]:
        inbox: SimpleQueue[_Waiting | None] = SimpleQueue()
        threading.Thread(target=self._serve, args=(inbox,), name="holdover-waiter", daemon=True).start()
        return inbox

    def _serve(self, inbox: SimpleQueue[_Waiting | None]) -> None:
        while (waiting := inbox.get()) is not None:
            try:
                waiting.response = self._send(waiting.request)
            except BaseException as error:
                waiting.error = error
            self._idle.append(inbox)
            waiting.done.release()
            del waiting  # or its answer would be kept until the next one


class _Waiting:
    """A request, and the answer or the error when it is ``done``."""

    __slots__ = ("done", "error", "request", "response")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.response: Response | None = None
        self.error: BaseException | None = None
        self.done = threading.Lock()
        self.done.acquire()


def _is_child() -> bool:
    return _runtime_process is not None and _runtime_process != os.getpid()


def _configured(builder: Any, direct: bool) -> Any:
    global _runtime_process
    _runtime_process = os.getpid()
    builder = (
        builder.error_for_status(False)
        .follow_redirects(False)
        .connect_timeout(timedelta(seconds=CONNECT_TIMEOUT_S))
        .pool_idle_timeout(timedelta(seconds=30))
    )
    return builder.no_proxy() if direct else builder


def _prepared(client: Any, request: Request) -> Any:
    duration = _durations.get(request.timeout_s)
    if duration is None:
        if len(_durations) > 64:
            _durations.clear()
        duration = _durations[request.timeout_s] = timedelta(seconds=request.timeout_s)
    builder = client.request(request.method, request.url).headers(request.headers).timeout(duration)
    if request.body is not None:
        builder = builder.body_bytes(request.body)
    return builder.build()


def _errors() -> Any:
    import pyreqwest.exceptions

    return pyreqwest.exceptions


def _translated(error: Any, request: Request) -> TransportFailure:
    causes = [cause["message"] for cause in (getattr(error, "details", None) or {}).get("causes") or ()]
    reason = causes[-1] if causes else str(error)
    return TransportFailure(
        reason,
        # A connection that breaks off comes as a connect error, too; only the causes tell that none was opened.
        was_sent=not any("(Connect)" in cause for cause in causes),
        timed_out=isinstance(error, _errors().RequestTimeoutError),
    )
