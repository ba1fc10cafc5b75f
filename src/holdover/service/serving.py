"""A service behind a port, and a worker behind none: started, and told to stop."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from holdover.errors import ConfigurationError
from holdover.server.access import Access, is_loopback
from holdover.settings import ServiceSettings

from .logs import logging_to_stderr
from .models import catalog_of
from .wiring import POSTGRES, database_path, open_application, open_engine


def serve(settings: ServiceSettings, *, on_ready: Callable[[str], None] = lambda url: None) -> None:
    """Serve until told to stop by SIGTERM or SIGINT, then answer what is under way and return.

    Args:
        on_ready: Called with the service's address once it can be called.

    Raises:
        ConfigurationError: The settings cannot be served; the message says what to change.
    """
    from holdover.server.http import listen

    _refuse_open_doors(settings)
    _refuse_runs_without_worker(settings)
    with logging_to_stderr(settings.log_level), listen(settings.host, settings.port) as listening:
        url = address_of(settings.host, listening.getsockname()[1])
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_serve(settings, listening, lambda: on_ready(url)))


async def _serve(settings: ServiceSettings, listening: Any, on_ready: Callable[[], None]) -> None:
    from holdover.server.http import server

    def ready() -> None:
        _settle()
        on_ready()

    running: Any = None
    port = listening.getsockname()[1]
    access = Access(settings.api_keys, local_only=is_loopback(settings.host), allowed_hosts=settings.allowed_hosts)
    async with open_application(
        settings,
        access,
        is_ready=lambda: running is None or not running.should_exit,
        models=catalog_of(settings, port=port),
    ) as (app, working):
        running = server(
            app,
            drain_s=settings.drain_s,
            on_ready=ready,
            # Runs are given a little less than requests: those that wait for one are answered then.
            on_stop=lambda: working.stop(settings.drain_s * 0.9),
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
    with logging_to_stderr(settings.log_level), asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_work(settings, on_ready))


async def _work(settings: ServiceSettings, on_ready: Callable[[], None]) -> None:
    stop = _told_to_stop()
    # It has no port; an endpoint that is one of the services is not known from here.
    async with open_engine(settings, catalog_of(settings, port=0)) as working:
        _settle()
        on_ready()
        await stop.wait()
        await working.stop(settings.drain_s)


def _settle() -> None:
    """Have the collector of cycles look at what comes from now on only, and seldom.

    What was loaded stays until the end, and hardly anything that a request makes is a cycle. Looking through all of it
    again and again was 6 % of the processor time of a busy service.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


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


def address_of(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
