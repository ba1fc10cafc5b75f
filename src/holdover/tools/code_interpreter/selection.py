"""Which sandbox is used: what the settings want, what its self-test came to, and whether that is strong enough."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any

import msgspec

from . import environment, remedies
from .interpreter import base_interpreter
from .jail import BubblewrapJail, LandlockJail
from .protocol import LEVELS, Level, ProbeReport, SandboxBackend, SandboxError, SandboxUnavailable

#: Where packages announce a sandbox of their own: a name, and a callable that returns a `SandboxBackend`.
PLUGINS = "holdover.sandboxes"
#: How long the first cell waits for packages that are being installed, before it is told to come back.
WAIT_S = 120.0
#: After what was refused, so long nobody tries again.
RETRY_S = 30.0


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings say.

    Attributes:
        backend: ``auto``, ``jail``, ``remote``, ``off``, or the name that a package announces (``wasm``).
        minimum: The weakest level that may be used, or ``None``.
        data_dir: Where packages and sessions are kept.
        remote: A runner's address, ``unix:/path`` or ``host:port``, and the secret it shares with us.
    """

    backend: str = "auto"
    minimum: Level | None = None
    data_dir: str
    remote: str | None = None
    secret: str | None = None


def choose(wanted: Wanted, reports: Sequence[ProbeReport]) -> ProbeReport:
    """Return the first report that passed and is strong enough.

    Raises:
        SandboxUnavailable: There is none; the message says why, and what to do.
    """
    if wanted.backend == "off":
        raise SandboxUnavailable("Running code is switched off here: HOLDOVER_SANDBOX is off.")
    least = LEVELS.index(wanted.minimum) if wanted.minimum else 0
    for report in reports:
        if report.passed and LEVELS.index(report.level) >= least:
            return report
    reasons = [
        f"{each.backend} is of level {each.level}, and at least {wanted.minimum} is wanted"
        if each.passed
        else f"{each.backend} ({each.level}) does not pass its self-test: {each.failure}"
        for each in reports
    ]
    told = "; ".join(reasons) or f"there is no sandbox '{wanted.backend}'"
    raise SandboxUnavailable(
        f"Code cannot be run safely here: {told}. `holdover doctor` shows every check and what to do."
    )


def candidates(wanted: Wanted, *, sessions: str | None = None) -> list[SandboxBackend]:
    """Return the sandboxes that the settings allow, the strongest first. None has been tried.

    Args:
        sessions: Where files of sessions are kept, in place of the data folder.

    Raises:
        SandboxUnavailable: A name stands for nothing, or lacks what it needs.
    """
    match wanted.backend:
        case "off":
            return []
        case "auto":
            return [*_jails(wanted, sessions), *(_remote(wanted) if wanted.remote else ())]
        case "jail":
            return _jails(wanted, sessions)
        case "remote":
            return _remote(wanted)
        case name:
            return [_plugin(name)]


def _jails(wanted: Wanted, sessions: str | None) -> list[SandboxBackend]:
    python = environment.find(wanted.data_dir) or base_interpreter()
    return [BubblewrapJail(python), LandlockJail(python, folder=sessions or f"{wanted.data_dir}/sandbox/sessions")]


def _remote(wanted: Wanted) -> list[SandboxBackend]:
    from .remote import RemoteSandbox

    if not wanted.remote or not wanted.secret:
        raise SandboxUnavailable(f"A remote sandbox needs its address and its secret. {remedies.REMOTE}")
    return [RemoteSandbox(wanted.remote, wanted.secret)]


def _plugin(name: str) -> SandboxBackend:
    for found in entry_points(group=PLUGINS, name=name):
        backend: Any = found.load()
        made: SandboxBackend = backend()
        return made
    raise SandboxUnavailable(f"No installed package offers a sandbox '{name}'. {remedies.REMEDIES['wasm']}")


async def inspect(wanted: Wanted) -> tuple[list[ProbeReport], str, str | None]:
    """Try every sandbox that the settings allow, leaving nothing behind.

    Returns:
        What came of each, a sentence on what code will run in, and what to do where it is nothing.
    """
    reports: list[ProbeReport] = []
    try:
        with tempfile.TemporaryDirectory(prefix="holdover-sessions-") as folder:
            os.chmod(folder, 0o711)
            reports = [await each.probe() for each in candidates(wanted, sessions=folder)]
        chosen = choose(wanted, reports)
    except SandboxUnavailable as error:
        is_meant = wanted.backend == "off"
        advice = "\n".join(each.remedy for each in reports if each.remedy) or f"Choose another. {remedies.REMOTE}"
        return reports, str(error), None if is_meant else advice
    told = f"Code runs in {chosen.backend}, level {chosen.level}. {' '.join(chosen.notes)}".rstrip()
    if chosen.backend == "jail" and environment.find(wanted.data_dir) is None:
        told += " Its packages will be installed when code is first run, or now with: holdover sandbox setup."
    return reports, told, None


class Selection:
    """Finds the sandbox at first use and keeps to it; has its packages made where they are missing."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._lock = asyncio.Lock()
        self._found: SandboxBackend | None = None
        self._refusal: tuple[float, SandboxUnavailable] | None = None
        self._building: asyncio.Task[Any] | None = None

    async def backend(self) -> SandboxBackend:
        """Return the sandbox.

        Raises:
            SandboxUnavailable: None can be used, or its packages are not there yet.
        """
        async with self._lock:
            if self._found is not None:
                return self._found
            if self._refusal is not None and time.monotonic() - self._refusal[0] < RETRY_S:
                raise self._refusal[1]
            try:
                self._found = await self._select()
            except Preparing:
                raise
            except SandboxUnavailable as error:
                self._refusal = (time.monotonic(), error)
                raise
            return self._found

    async def close(self) -> None:
        """Stop making packages."""
        if self._building is not None:
            self._building.cancel()
            await asyncio.wait({self._building})

    async def _select(self) -> SandboxBackend:
        """Try what may be used, in order, up to the first that can."""
        reports: list[ProbeReport] = []
        backends = candidates(self._wanted)
        for backend in backends:
            reports.append(await backend.probe())
            if reports[-1].passed:
                break  # they are in order of strength
        backend = backends[reports.index(choose(self._wanted, reports))]
        return await self._with_packages(backend) if backend.name == "jail" else backend

    async def _with_packages(self, backend: SandboxBackend) -> SandboxBackend:
        if environment.find(self._wanted.data_dir) is not None:
            return backend
        if self._building is None or self._building.done():
            self._building = asyncio.create_task(environment.build(environment.roots(self._wanted.data_dir)[0]))
        done, _ = await asyncio.wait({self._building}, timeout=WAIT_S)
        if not done:
            raise Preparing("The sandbox is being prepared: its packages are being installed. Try again in a minute.")
        try:
            self._building.result()
        except SandboxError as error:
            raise SandboxUnavailable(str(error)) from error
        return next(each for each in candidates(self._wanted) if each.level == backend.level)


class Preparing(SandboxUnavailable):
    """Its packages are being installed."""
