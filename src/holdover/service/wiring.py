"""Settings become a store, an engine, and an application."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable

from holdover import telemetry
from holdover.engine.acting import Tools
from holdover.engine.objects import Engine
from holdover.engine.searching import FileSearch
from holdover.errors import ConfigurationError
from holdover.models.catalog import Catalog
from holdover.server.access import Access
from holdover.server.app import App
from holdover.settings import ServiceSettings
from holdover.store.blobs import FolderBlobs
from holdover.store.protocol import Blobs, Store
from holdover.store.sqlite import SQLiteStore, inspect
from holdover.tools.file_search.citations import RunCitations

from .logs import FAILURES
from .models import passthrough_of
from .sandboxes import open_code_interpreter
from .searching import open_file_search

#: How the address of a PostgreSQL database begins.
POSTGRES = ("postgresql://", "postgres://")


@contextlib.asynccontextmanager
async def open_engine(settings: ServiceSettings, models: Catalog) -> AsyncIterator[Engine]:
    """Open the store and begin to look for runs."""
    async with contextlib.AsyncExitStack() as opened:
        opened.push_async_callback(models.close)
        store = await open_store(settings.database_url)
        opened.push_async_callback(store.close)
        blobs = await open_blobs(settings, store)
        opened.push_async_callback(blobs.close)
        indexer, searcher = await opened.enter_async_context(open_file_search(settings, store))
        for event, listener in FAILURES.items():
            opened.callback(telemetry.attach(event, listener))
        interpreter = await opened.enter_async_context(open_code_interpreter(settings, store, blobs))
        working = Engine(
            store,
            models,
            blobs,
            indexer=indexer,
            searcher=searcher,
            tools=Tools(FileSearch(store, searcher, RunCitations()), interpreter),
            max_files=settings.file_readers,
            run_lifetime_s=settings.run_lifetime_s,
            lease_s=settings.lease_s,
            max_runs=settings.max_runs,
            claims=settings.worker,
        )
        opened.push_async_callback(working.stop)
        await working.start()
        yield working


@contextlib.asynccontextmanager
async def open_application(
    settings: ServiceSettings,
    access: Access,
    *,
    models: Catalog,
    is_ready: Callable[[], bool] = lambda: True,
) -> AsyncIterator[tuple[App, Engine]]:
    async with open_engine(settings, models) as working:
        yield App(working, access, is_ready=is_ready, passthrough=passthrough_of(settings, models)), working


async def open_store(url: str) -> Store:
    if url.startswith(POSTGRES):
        from holdover.store.postgres import PostgresStore

        return await PostgresStore.open(url)
    return await SQLiteStore.open(database_path(url))


async def open_blobs(settings: ServiceSettings, store: Store) -> Blobs:
    """Return where the bytes of files are kept: apart under the database's own name, wherever that is.

    So databases may share a folder or a bucket, and none sweeps away what another one names.
    """
    name = await store.identity()
    url = settings.files_url
    if url is not None and url.startswith("s3://"):
        from ..store.s3 import S3Blobs

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


def inspect_database(url: str) -> str:
    """Look at a database without changing it and say in a sentence how it is.

    Raises:
        ConfigurationError: A service could not open it.
    """
    if url.startswith(POSTGRES):
        from holdover.store.postgres import inspect as inspect_postgres

        return inspect_postgres(url)
    return inspect(database_path(url))
