"""A service inside a process: with a client and no port, or on a port of loopback."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, TypeVar

from holdover.client import AsyncClient, Client
from holdover.client.transports.asgi import ASGITransport, ThreadedASGITransport
from holdover.engine.objects import Engine
from holdover.models.protocol import Model
from holdover.server.access import Access
from holdover.server.app import App
from holdover.settings import DEFAULT_HOST, SERVICE_SETTINGS, load_service_settings, resolve

from .models import catalog_of
from .serving import address_of
from .wiring import open_application

T = TypeVar("T")


class Embedded:
    """A service inside this process and a client of it, for ``with`` (sync) or ``async with`` (async)."""

    def __init__(
        self,
        path: str | os.PathLike[str] = ":memory:",
        *,
        models: Mapping[str, Model] | None = None,
        settings: Mapping[str, Any] | None = None,
        **client_options: Any,
    ) -> None:
        flags = {**(settings or {}), "database_url": os.fspath(path), "worker": True}
        self._settings = load_service_settings(resolve(SERVICE_SETTINGS, flags=flags))
        self._models = models
        # Whatever the environment names is another service; this one has no address, and says so.
        self._client_options = {"base_url": "http://embedded/v1", **client_options}
        self._stack = contextlib.ExitStack()
        self._async_stack = contextlib.AsyncExitStack()

    def _application(self) -> contextlib.AbstractAsyncContextManager[tuple[App, Engine]]:
        catalog = catalog_of(self._settings, port=0, own=self._models)
        return open_application(self._settings, Access(local_only=False), models=catalog)

    def __enter__(self) -> Client:
        with contextlib.ExitStack() as opened:
            loop = opened.enter_context(_loop_in_thread())
            app, _ = opened.enter_context(_in_loop(loop, self._application()))
            transport = ThreadedASGITransport(app, loop)
            opened.callback(transport.end)
            client = opened.enter_context(Client(transport=transport, **self._client_options))
            self._stack = opened.pop_all()
        return client

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    async def __aenter__(self) -> AsyncClient:
        async with contextlib.AsyncExitStack() as opened:
            app, _ = await opened.enter_async_context(self._application())
            transport = ASGITransport(app)
            opened.push_async_callback(transport.end)
            client = await opened.enter_async_context(AsyncClient(transport=transport, **self._client_options))
            self._async_stack = opened.pop_all()
        return client

    async def __aexit__(self, *error: object) -> None:
        await self._async_stack.aclose()


@contextlib.contextmanager
def running(
    database: str | os.PathLike[str] = ":memory:", *, models: Mapping[str, Model] | None = None, **flags: Any
) -> Iterator[str]:
    """Serve on a free port of loopback, in a thread of this process; give the base URL.

    Args:
        models: Models by name; ``*`` answers for every name that nobody else does.
        flags: Other settings of the service, by name.
    """
    from holdover.server.http import listen

    given = {"port": 0, "drain_s": 1.0, "worker": True, **flags, "database_url": os.fspath(database)}
    settings = load_service_settings(resolve(SERVICE_SETTINGS, flags=given))
    with contextlib.ExitStack() as opened:
        listening = opened.enter_context(listen(settings.host, settings.port))
        loop = opened.enter_context(_loop_in_thread())
        port = listening.getsockname()[1]
        app, engine = opened.enter_context(
            _in_loop(
                loop,
                open_application(
                    settings,
                    Access(settings.api_keys, local_only=True),
                    models=catalog_of(settings, port=port, own=models),
                ),
            )
        )
        opened.enter_context(
            _served(app, loop, listening, drain_s=settings.drain_s, on_stop=lambda: engine.stop(settings.drain_s * 0.9))
        )
        yield f"{address_of(settings.host, port)}/v1"


class Stage:
    """A port of loopback on which one service after the other can be had: a new one costs milliseconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, port: int) -> None:
        self.base_url = f"{address_of(DEFAULT_HOST, port)}/v1"
        self._loop = loop
        self._port = port
        self._app: App | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert self._app is not None, "nobody calls between two services"
        await self._app(scope, receive, send)

    @contextlib.contextmanager
    def service(self, models: Mapping[str, Model], **flags: Any) -> Iterator[None]:
        """Have a service that knows nothing yet answer on the port.

        Args:
            models: As for `running`.
            flags: Other settings of the service, by name; the environment sets none.
        """
        given = {**flags, "database_url": ":memory:"}
        settings = load_service_settings(resolve(SERVICE_SETTINGS, flags=given, environment={}))
        access = Access(settings.api_keys, local_only=True)
        catalog = catalog_of(settings, port=self._port, own=models)
        with _in_loop(self._loop, open_application(settings, access, models=catalog)) as (app, _):
            self._app = app
            try:
                yield
            finally:
                self._app = None


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Listen on a free port of loopback, in a thread of this process, for services that come and go."""
    from holdover.server.http import listen

    with listen(DEFAULT_HOST, 0) as listening, _loop_in_thread() as loop:
        given = Stage(loop, listening.getsockname()[1])
        with _served(given, loop, listening, drain_s=0.1):
            yield given


@contextlib.contextmanager
def _served(
    app: Any,
    loop: asyncio.AbstractEventLoop,
    listening: Any,
    *,
    drain_s: float,
    on_stop: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> Iterator[None]:
    """Serve an application on a loop of another thread."""
    from holdover.server.http import server

    started = threading.Event()
    serving = server(app, drain_s=drain_s, on_ready=started.set, on_stop=on_stop)
    done = asyncio.run_coroutine_threadsafe(serving.serve(sockets=[listening]), loop)
    started.wait()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(setattr, serving, "should_exit", True)
        done.result()


@contextlib.contextmanager
def _in_loop(loop: asyncio.AbstractEventLoop, opening: contextlib.AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Open and close something asynchronous on a loop of another thread."""
    opened = asyncio.run_coroutine_threadsafe(opening.__aenter__(), loop).result()
    try:
        yield opened
    finally:
        asyncio.run_coroutine_threadsafe(opening.__aexit__(None, None, None), loop).result()


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


def embedded(path: str | os.PathLike[str] = ":memory:", **options: Any) -> Embedded:
    """Return a service in this process with a client of it; see `holdover.embedded`."""
    return Embedded(path, **options)
