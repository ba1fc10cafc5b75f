"""What running code costs: a jail that opens, a cell, a plot, memory, and fifty sessions in turn.

Figures are of this machine, not ratios: there is no other side. Both jails are measured where they pass their
self-test; a row is judged by the one that the service would take.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

from holdover.tools.code_interpreter import environment
from holdover.tools.code_interpreter.jail import BubblewrapJail, LandlockJail
from holdover.tools.code_interpreter.protocol import Done, Image, SandboxBackend, Session, SessionSpec
from holdover.tools.code_interpreter.sessions import Sessions

from .goals import Measured
from .rounds import Effort

ROWS = ("sandbox_open", "sandbox_pool", "sandbox_cell", "sandbox_plot", "sandbox_memory", "sandbox_sessions")
PLOT = """
import pandas as pd, matplotlib.pyplot as plt
pd.DataFrame({"month": range(12), "sold": [3, 4, 8, 2, 9, 7, 6, 4, 8, 9, 11, 10]}).plot(x="month", y="sold")
plt.show()
"""
#: What a service wants of a session, its most used packages imported beforehand.
LOADED = SessionSpec(preload=("pandas", "matplotlib.pyplot"))
BARE = SessionSpec()
SESSIONS = 50


def measure(effort: Effort) -> list[Measured]:
    """Measure the rows of the sandbox."""
    return asyncio.run(_measure(effort))


async def _measure(effort: Effort) -> list[Measured]:
    with tempfile.TemporaryDirectory(prefix="holdover-bench-") as folder:
        python = environment.find(folder)
        if python is None:
            return [Measured(goal=row, skipped="the sandbox's packages are missing: make install") for row in ROWS]
        jails = {"namespaces": BubblewrapJail(python), "landlock": LandlockJail(python, folder=folder)}
        found: dict[str, dict[str, list[float]]] = {}
        for name, jail in jails.items():
            if (await jail.probe()).passed:
                found[name] = await _of(jail, effort)
    if not found:
        return [Measured(goal=row, skipped="no jail passes its self-test here") for row in ROWS]
    first = next(iter(found.values()))
    return [
        Measured(
            goal=row,
            ratio=median(first[row]),
            rounds=first[row],
            sides={name: median(values[row]) for name, values in found.items()},
        )
        for row in ROWS
    ]


async def _of(jail: Any, effort: Effort) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {row: [] for row in ROWS}
    loaded = await jail.open(LOADED)
    await _run(loaded, PLOT)
    for _ in range(effort.rounds):
        found["sandbox_open"].append(await _ms(lambda: _open_and_close(jail)))
        cells = [await _ms(lambda: _run(loaded, "1 + 1")) for _ in range(effort.count(50))]
        found["sandbox_cell"].append(median(cells))
        found["sandbox_plot"].append(await _ms(lambda: _run(loaded, PLOT)))
    await loaded.close()
    fresh = await jail.open(LOADED)
    found["sandbox_memory"] = [_memory_mb(fresh)]
    await fresh.close()
    found["sandbox_pool"] = [await _from_pool(jail) for _ in range(effort.rounds)]
    found["sandbox_sessions"] = [float(await _lost_in_turn(jail, effort.count(SESSIONS)))]
    return found


async def _ms(act: Callable[[], Awaitable[None]]) -> float:
    started = time.perf_counter()
    await act()
    return (time.perf_counter() - started) * 1000


async def _run(session: Session, code: str) -> None:
    images = 0
    async for event in session.execute(code):
        images += isinstance(event, Image)
        if isinstance(event, Done) and (event.status != "ok" or images != ("show" in code)):
            raise RuntimeError(f"the cell came to {event}, with {images} images")


async def _open_and_close(jail: SandboxBackend) -> None:
    session = await jail.open(BARE)
    await _run(session, "1 + 1")
    asyncio.get_running_loop().create_task(session.close())


async def _from_pool(jail: SandboxBackend) -> float:
    """Return what a second thread waits for, when a session is warm."""

    async def backend() -> SandboxBackend:
        return jail

    sessions = Sessions(backend, BARE, warm=1)

    async def use(name: str) -> None:
        async with sessions.use(name) as used:
            await _run(used.session, "1 + 1")

    await use("first")
    while not sessions._warm:  # noqa: ASYNC110 - the pool tells nobody
        await asyncio.sleep(0.01)
    took = await _ms(lambda: use("second"))
    await sessions.close()
    return took


async def _lost_in_turn(jail: SandboxBackend, count: int) -> int:
    """Use sessions one after the other, twice; return how many did not keep their variable."""

    async def backend() -> SandboxBackend:
        return jail

    sessions = Sessions(backend, BARE, max_sessions=count, warm=0)
    lost = 0
    for turn in range(2):
        for each in range(count):
            async with sessions.use(str(each)) as used:
                await _run(used.session, f"kept = {each}" if not turn else f"assert kept == {each}")
                lost += used.is_new and turn > 0
    await sessions.close()
    return lost


def _memory_mb(session: Any) -> float:
    """Return what a session has in memory, what it shares with others in proportion."""
    with open(f"/proc/{session._guest.worker_id}/smaps_rollup") as file:
        sizes = dict(line.split()[:2] for line in file if line.startswith(("Pss:", "Rss:")))
    return int(sizes["Pss:"]) / 1024
