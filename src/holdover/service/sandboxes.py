"""What code runs in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from holdover.engine.acting import Interpreter
from holdover.engine.interpreting import CodeInterpreter
from holdover.errors import ConfigurationError
from holdover.settings import ServiceSettings
from holdover.store.protocol import Blobs, Store
from holdover.tools.code_interpreter.protocol import Level, ProbeReport, SandboxError, SessionSpec
from holdover.wire import ids

if TYPE_CHECKING:
    from holdover.tools.code_interpreter.selection import Wanted

#: What the sandbox that waits for its first code has imported already.
PRELOADED = ("numpy", "pandas", "matplotlib.pyplot")


def wanted_sandbox(settings: ServiceSettings) -> Wanted:
    """Return what the settings say of the sandbox."""
    from holdover.tools.code_interpreter.selection import Wanted

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
    from holdover.tools.code_interpreter import selection

    return asyncio.run(selection.inspect(wanted_sandbox(settings)))


def prepare_sandbox(folder: str) -> str:
    """Install the sandbox's packages beneath a folder, if they are not there; return where they are.

    Raises:
        ConfigurationError: They cannot be installed.
    """
    from holdover.tools.code_interpreter import environment

    try:
        return str(asyncio.run(environment.build(Path(folder))).packages)
    except SandboxError as error:
        raise ConfigurationError(str(error)) from error


def serve_sandbox(settings: ServiceSettings, address: str, level: str | None, on_ready: Callable[[str], None]) -> None:
    """Run sandboxes for a service elsewhere, until told to stop by SIGTERM or SIGINT.

    Raises:
        ConfigurationError: There is no sandbox here, no secret, or the address cannot be used.
    """
    from holdover.tools.code_interpreter import remote

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


@contextlib.asynccontextmanager
async def open_code_interpreter(
    settings: ServiceSettings, store: Store, blobs: Blobs
) -> AsyncIterator[Interpreter | None]:
    """Give what runs code; ``None`` where the settings say that nothing does.

    No sandbox is looked for, and none opened, before code is to be run.
    """
    if settings.sandbox == "off":
        yield None
        return
    from holdover.tools.code_interpreter.selection import Selection
    from holdover.tools.code_interpreter.sessions import Sessions

    selection = Selection(wanted_sandbox(settings))
    sessions = Sessions(
        selection.backend,
        SessionSpec(exec_timeout_s=settings.sandbox_timeout_s, preload=PRELOADED),
        max_sessions=settings.sandbox_sessions,
        idle_s=settings.sandbox_idle_s,
    )
    interpreter = CodeInterpreter(store, blobs, sessions, new_id=ids.new_id)
    try:
        yield interpreter
    finally:
        await sessions.close()
        await interpreter.close()
        await selection.close()
