"""The one wiring place: settings become a store, an engine and an application, served or embedded."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from . import telemetry
from .client import AsyncClient, Client
from .client.transports.asgi import ASGITransport, ThreadedASGITransport
from .engine.objects import Engine
from .errors import ConfigurationError
from .models.catalog import PROVIDERS, Catalog, Entry, Names, Target
from .models.compatible import CompatibleModel
from .models.protocol import Model
from .models.upstream import Upstream, checked
from .models.weights import is_available
from .server.access import Access, is_loopback
from .server.app import App
from .server.request_log import RequestLog
from .settings import SERVICE_SETTINGS, ServiceSettings, load_service_settings, read_variable, resolve
from .store.protocol import Store
from .store.sqlite import SQLiteStore, inspect
from .tools.code_interpreter.protocol import Level, ProbeReport, SandboxError

if TYPE_CHECKING:
    from .tools.code_interpreter.selection import Wanted

T = TypeVar("T")

log = logging.getLogger("holdover")

#: How the address of a PostgreSQL database begins.
POSTGRES = ("postgresql://", "postgres://")


# -------------------------------------------------------------------------------------------- serving


def serve(settings: ServiceSettings, *, on_ready: Callable[[str], None] = lambda url: None, works: bool = True) -> None:
    """Serve until told to stop by SIGTERM or SIGINT, then answer what is under way and return.

    Args:
        on_ready: Called with the service's address once it can be called.

    Raises:
        ConfigurationError: The settings cannot be served; the message says what to change.
    """
    from .server.http import listen

    _refuse_open_doors(settings)
    if not settings.database_url.startswith(POSTGRES):
        database_path(settings.database_url)  # a kind that is not known is told of before anything is opened
    with _logging(settings.log_level), listen(settings.host, settings.port) as listening:
        url = _address(settings.host, listening.getsockname()[1])
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(settings, listening, lambda: on_ready(url)))


async def _serve(settings: ServiceSettings, listening: Any, on_ready: Callable[[], None]) -> None:
    from .server.http import server

    running: Any = None
    port = listening.getsockname()[1]
    access = Access(settings.api_keys, local_only=is_loopback(settings.host), allowed_hosts=settings.allowed_hosts)
    async with _application(
        settings,
        access,
        is_ready=lambda: running is None or not running.should_exit,
        models=_models(settings, port=port),
    ) as (app, engine):
        running = server(
            app,
            drain_s=settings.drain_s,
            on_ready=on_ready,
            # Runs are given a little less than requests: those that wait for one are answered then.
            on_stop=lambda: engine.stop(settings.drain_s * 0.9),
        )
        await running.serve(sockets=[listening])


@contextlib.asynccontextmanager
async def _engine(settings: ServiceSettings, models: Catalog) -> AsyncIterator[Engine]:
    """Open the store and begin to look for runs."""
    async with contextlib.AsyncExitStack() as opened:
        opened.push_async_callback(models.close)
        store = await _store(settings.database_url)
        opened.push_async_callback(store.close)
        for event, listener in _FAILURES.items():
            opened.callback(telemetry.attach(event, listener))
        engine = Engine(
            store,
            models,
            run_lifetime_s=settings.run_lifetime_s,
            lease_s=settings.lease_s,
            max_runs=settings.max_runs,
        )
        opened.push_async_callback(engine.stop)
        await engine.start()
        yield engine


@contextlib.asynccontextmanager
async def _application(
    settings: ServiceSettings,
    access: Access,
    *,
    models: Catalog,
    is_ready: Callable[[], bool] = lambda: True,
) -> AsyncIterator[tuple[App, Engine]]:
    async with _engine(settings, models) as engine:
        yield App(engine, access, is_ready=is_ready), engine


async def _store(url: str) -> Store:
    if url.startswith(POSTGRES):
        from .store.postgres import PostgresStore

        return await PostgresStore.open(url)
    return await SQLiteStore.open(database_path(url))


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
    if url.startswith(POSTGRES):
        from .store.postgres import inspect as inspect_postgres

        return inspect_postgres(url)
    return inspect(database_path(url))


# -------------------------------------------------------------------------------------------- sandbox


def wanted_sandbox(settings: ServiceSettings) -> Wanted:
    """Return what the settings say of the sandbox."""
    from .tools.code_interpreter.selection import Wanted

    return Wanted(
        backend=settings.sandbox,
        minimum=msgspec.convert(settings.sandbox_min_level, Level | None),
        data_dir=settings.data_dir,
        remote=settings.sandbox_remote,
        secret=settings.sandbox_secret,
    )


def inspect_sandbox(settings: ServiceSettings) -> tuple[list[ProbeReport], str, str | None]:
    """Try every sandbox that the settings allow.

    Returns:
        What came of each, a sentence on what code will run in, and what to do where it is nothing.
    """
    from .tools.code_interpreter import selection

    return asyncio.run(selection.inspect(wanted_sandbox(settings)))


def prepare_sandbox(folder: str) -> str:
    """Install the sandbox's packages beneath a folder, if they are not there; return where they are.

    Raises:
        ConfigurationError: They cannot be installed.
    """
    from .tools.code_interpreter import environment

    try:
        return str(asyncio.run(environment.build(Path(folder))).packages)
    except SandboxError as error:
        raise ConfigurationError(str(error)) from error


def serve_sandbox(settings: ServiceSettings, address: str, level: str | None, on_ready: Callable[[str], None]) -> None:
    """Run sandboxes for a service elsewhere, until told to stop by SIGTERM or SIGINT.

    Raises:
        ConfigurationError: There is no sandbox here, no secret, or the address cannot be used.
    """
    from .tools.code_interpreter import remote

    if not settings.sandbox_secret:
        raise ConfigurationError("A runner needs the secret that it shares with the service: HOLDOVER_SANDBOX_SECRET.")
    wanted = msgspec.structs.replace(wanted_sandbox(settings), backend="jail")
    try:
        asyncio.run(
            remote.serve(
                wanted,
                address,
                settings.sandbox_secret,
                level=msgspec.convert(level, Level | None),
                max_sessions=settings.sandbox_sessions,
                on_ready=on_ready,
            )
        )
    except SandboxError as error:
        raise ConfigurationError(str(error)) from error


# --------------------------------------------------------------------------------------------- models


def _models(settings: ServiceSettings, *, port: int, own: Mapping[str, Model] | None = None) -> Catalog:
    """Return who answers for which name.

    Raises:
        ConfigurationError: An entry cannot be used, an alias leads nowhere, or an endpoint is this service itself.
    """
    upstream = Upstream()
    entries = {name: _entry(name, entry) for name, entry in settings.models.items()}
    default = None
    if settings.model_base_url is not None:
        default = Entry(base_url=settings.model_base_url, api_key=settings.model_api_key)
    for entry in (*entries.values(), *([default] if default else ())):
        if entry.base_url is not None:
            checked(entry.base_url, host=settings.host, port=port)
    names = Names(
        entries=entries,
        aliases=settings.aliases,
        upstream=default,
        default=settings.default_model,
        has_local=is_available(settings.data_dir),
    )
    names.check()
    return Catalog(names, lambda target: _model(target, settings, upstream), own=own, close=upstream.close)


def _entry(name: str, given: Mapping[str, Any]) -> Entry:
    known = Entry.__struct_fields__
    for key in given:
        if key not in known:
            raise ConfigurationError(f"models.{name}: there is no '{key}'; there are: {', '.join(known)}.")
    try:
        entry = msgspec.convert(dict(given), Entry)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"models.{name}: {error}.") from error
    if entry.provider not in PROVIDERS:
        raise ConfigurationError(f"models.{name}: provider is one of {', '.join(PROVIDERS)}, not '{entry.provider}'.")
    if entry.api_key_env is not None:
        entry = msgspec.structs.replace(entry, api_key=read_variable(entry.api_key_env))
    return entry


def _model(target: Target, settings: ServiceSettings, upstream: Upstream) -> Model:
    entry = target.entry
    match entry.provider:
        case "local":
            from .models.local import LocalModel

            return LocalModel(entry.path, data_dir=settings.data_dir)
        case "scripted":
            from .models.scripted import ScriptedModel

            return ScriptedModel()
        case _:
            base_url = entry.base_url or settings.model_base_url
            if base_url is None:
                raise ConfigurationError(f"models.{target.name}: give its base_url.")
            return CompatibleModel(
                upstream,
                base_url=base_url.rstrip("/"),
                model=target.name,
                api_key=entry.api_key or (settings.model_api_key if entry.base_url is None else None),
                context_tokens=entry.context_tokens,
                max_tokens_parameter=entry.max_tokens_parameter,
                timeout_s=entry.timeout_s or settings.model_timeout_s,
            )


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


def _log_run_failure(*, run_id: str, error: BaseException) -> None:
    log.error("%s could not be driven on", run_id or "a run", exc_info=error)


def _log_model_failure(*, model: str, run_id: str, error: BaseException) -> None:
    log.warning("%s: model %s could not answer: %s", run_id, model, error)


_FAILURES: dict[str, Callable[..., None]] = {
    "server.failure": _log_failure,
    "run.failure": _log_run_failure,
    "model.failure": _log_model_failure,
}


# ------------------------------------------------------------------------------------------ embedding


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
        flags = {**(settings or {}), "database_url": os.fspath(path)}
        self._settings = load_service_settings(resolve(SERVICE_SETTINGS, flags=flags))
        self._models = models
        # Whatever the environment names is another service; this one has no address, and says so.
        self._client_options = {"base_url": "http://embedded/v1", **client_options}
        self._stack = contextlib.ExitStack()
        self._async_stack = contextlib.AsyncExitStack()

    def _application(self) -> contextlib.AbstractAsyncContextManager[tuple[App, Engine]]:
        models = _models(self._settings, port=0, own=self._models)
        return _application(self._settings, Access(local_only=False), models=models)

    def __enter__(self) -> Client:
        with contextlib.ExitStack() as opened:
            loop = opened.enter_context(_loop_in_thread())
            app, _ = opened.enter_context(_in_loop(loop, self._application()))
            client = opened.enter_context(Client(transport=ThreadedASGITransport(app, loop), **self._client_options))
            self._stack = opened.pop_all()
        return client

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    async def __aenter__(self) -> AsyncClient:
        async with contextlib.AsyncExitStack() as opened:
            app, _ = await opened.enter_async_context(self._application())
            client = await opened.enter_async_context(AsyncClient(transport=ASGITransport(app), **self._client_options))
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
    from .server.http import listen, server

    given = {"port": 0, "drain_s": 1.0, **flags, "database_url": os.fspath(database)}
    settings = load_service_settings(resolve(SERVICE_SETTINGS, flags=given))
    with contextlib.ExitStack() as opened:
        listening = opened.enter_context(listen(settings.host, settings.port))
        loop = opened.enter_context(_loop_in_thread())
        port = listening.getsockname()[1]
        app, engine = opened.enter_context(
            _in_loop(
                loop,
                _application(
                    settings,
                    Access(settings.api_keys, local_only=True),
                    models=_models(settings, port=port, own=models),
                ),
            )
        )
        started = threading.Event()
        serving = server(
            app, drain_s=settings.drain_s, on_ready=started.set, on_stop=lambda: engine.stop(settings.drain_s * 0.9)
        )
        done = asyncio.run_coroutine_threadsafe(serving.serve(sockets=[listening]), loop)

        def stop() -> None:
            loop.call_soon_threadsafe(setattr, serving, "should_exit", True)
            done.result()

        opened.callback(stop)
        started.wait()
        yield f"{_address(settings.host, port)}/v1"


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
