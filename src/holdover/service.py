"""The one wiring place: settings become a store, an engine and an application, served or embedded."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from . import telemetry
from .client import AsyncClient, Client
from .client.transports.asgi import ASGITransport, ThreadedASGITransport
from .engine.objects import Engine
from .errors import ConfigurationError
from .server.access import Access, is_loopback
from .server.app import App
from .server.request_log import RequestLog
from .settings import ServiceSettings
from .store.sqlite import SQLiteStore, inspect

log = logging.getLogger("holdover")


# -------------------------------------------------------------------------------------------- serving


def serve(settings: ServiceSettings, *, on_ready: Callable[[str], None] = lambda url: None) -> None:
    """Serve until told to stop by SIGTERM or SIGINT, then answer what is under way and return.

    Args:
        on_ready: Called with the service's address once it can be called.

    Raises:
        ConfigurationError: The settings cannot be served; the message says what to change.
    """
    from .server.http import listen

    _refuse_open_doors(settings)
    database_path(settings.database_url)  # a kind that is not known is told of before anything is opened
    with _logging(settings.log_level), listen(settings.host, settings.port) as listening:
        url = _address(settings.host, listening.getsockname()[1])
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(settings, listening, lambda: on_ready(url)))


async def _serve(settings: ServiceSettings, listening: Any, on_ready: Callable[[], None]) -> None:
    from .server.http import server

    running: Any = None
    access = Access(settings.api_keys, local_only=is_loopback(settings.host), allowed_hosts=settings.allowed_hosts)
    async with _application(
        settings.database_url, access, is_ready=lambda: running is None or not running.should_exit
    ) as app:
        running = server(app, drain_s=settings.drain_s, on_ready=on_ready)
        await running.serve(sockets=[listening])


@contextlib.asynccontextmanager
async def _application(
    database_url: str, access: Access, *, is_ready: Callable[[], bool] = lambda: True
) -> AsyncIterator[App]:
    store = await SQLiteStore.open(database_path(database_url))
    stop_logging = telemetry.attach("server.failure", _log_failure)
    try:
        yield App(Engine(store), access, is_ready=is_ready)
    finally:
        stop_logging()
        await store.close()


def database_path(url: str) -> str:
    """Return the SQLite file that a database setting names.

    Raises:
        ConfigurationError: It names a kind of database that this release does not have.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return os.path.expanduser(url)
    if scheme == "sqlite":
        return os.path.expanduser(rest.removeprefix("/"))
    raise ConfigurationError(
        f"'{scheme}' is not a kind of database that this release can use; give the path of a SQLite file."
    )


def _refuse_open_doors(settings: ServiceSettings) -> None:
    if not settings.api_keys and not is_loopback(settings.host):
        raise ConfigurationError(
            f"{settings.host} can be reached from other machines, so callers must have keys. Make one with: "
            "python3 -c \"import secrets; print('sk-' + secrets.token_urlsafe(32))\" and pass it with --api-key or "
            "HOLDOVER_API_KEYS; or listen on 127.0.0.1."
        )


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def inspect_database(url: str) -> str:
    """Look at a database without changing it and say in a sentence how it is.

    Raises:
        ConfigurationError: A service could not open it.
    """
    return inspect(database_path(url))


# -------------------------------------------------------------------------------------------- logging


@contextlib.contextmanager
def _logging(level: str) -> Iterator[None]:
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("uvicorn").setLevel(logging.DEBUG if level == "debug" else logging.ERROR)
    requests = RequestLog(sys.stderr)
    stop = telemetry.attach("server.request", requests) if level in ("debug", "info") else lambda: None
    try:
        yield
    finally:
        stop()
        requests.flush()


def _log_failure(*, request_id: str, error: BaseException) -> None:
    log.error("%s failed", request_id, exc_info=error)


# ------------------------------------------------------------------------------------------ embedding


class Embedded:
    """A service inside this process and a client of it, for ``with`` (sync) or ``async with`` (async)."""

    def __init__(self, path: str | os.PathLike[str] = ":memory:", **client_options: Any) -> None:
        self._path = os.fspath(path)
        # Whatever the environment names is another service; this one has no address, and says so.
        self._client_options = {"base_url": "http://embedded/v1", **client_options}
        self._stack = contextlib.ExitStack()
        self._async_stack = contextlib.AsyncExitStack()

    def __enter__(self) -> Client:
        with contextlib.ExitStack() as opened:
            loop = opened.enter_context(_loop_in_thread())
            application = _application(self._path, Access(local_only=False))
            app = asyncio.run_coroutine_threadsafe(application.__aenter__(), loop).result()
            opened.callback(
                lambda: asyncio.run_coroutine_threadsafe(application.__aexit__(None, None, None), loop).result()
            )
            client = opened.enter_context(Client(transport=ThreadedASGITransport(app, loop), **self._client_options))
            self._stack = opened.pop_all()
        return client

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    async def __aenter__(self) -> AsyncClient:
        async with contextlib.AsyncExitStack() as opened:
            app = await opened.enter_async_context(_application(self._path, Access(local_only=False)))
            client = await opened.enter_async_context(AsyncClient(transport=ASGITransport(app), **self._client_options))
            self._async_stack = opened.pop_all()
        return client

    async def __aexit__(self, *error: object) -> None:
        await self._async_stack.aclose()


@contextlib.contextmanager
def _loop_in_thread() -> Any:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="holdover-embedded", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def embedded(path: str | os.PathLike[str] = ":memory:", **client_options: Any) -> Embedded:
    """Return a service in this process with a client of it; see `holdover.embedded`."""
    return Embedded(path, **client_options)
