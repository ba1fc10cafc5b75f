"""A page of 20 behind a random cursor, one at a time, at 1,000,000 rows and at 10,000.

Through the store alone (``python -m bench.pages DATABASE SEED``), and through the service.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from holdover.store.sqlite import SQLiteStore

from .filling import ROW_BYTES, fill, random_ids
from .get import KEY
from .goals import Measured
from .load import Load, Order, request
from .processes import MEASURED_CORE, Child
from .rounds import Effort, ratio, take_turns

SIZES = {"few": 10_000, "many": 1_000_000}
ROWS = ("page_store", "page_http")
LIMIT = 20
USUAL_PAGES = 1500


def measure(effort: Effort) -> list[Measured]:
    """Measure the rows ``page_store`` and ``page_http``."""
    if effort.share < 1:
        return [Measured(goal=row, skipped="a million rows take too long for a quick look") for row in ROWS]
    with tempfile.TemporaryDirectory(prefix="holdover-bench-") as name:
        needed = 2 * ROW_BYTES * sum(SIZES.values())
        if shutil.disk_usage(name).free < needed:
            return [Measured(goal=row, skipped=f"needs {needed / 1e9:.0f} GB free in {name}") for row in ROWS]
        databases = {size: Path(name, f"{size}.db") for size in SIZES}
        for seed, (size, path) in enumerate(databases.items()):
            fill(path, random_ids(SIZES[size], seed))
        return [_through_store(databases, effort), _through_http(databases, effort)]


def _through_store(databases: dict[str, Path], effort: Effort) -> Measured:
    with ExitStack() as stack:
        sides = {}
        for seed, (size, path) in enumerate(databases.items()):
            child = stack.enter_context(
                Child("-m", "bench.pages", str(path), str(SIZES[size]), str(seed), core=MEASURED_CORE)
            )
            child.read()
            sides[size] = partial(_ask, child, effort.count(USUAL_PAGES))
        found = take_turns(sides, effort.rounds)
    return ratio("page_store", found["many"], found["few"], {f"{size}_us": values for size, values in found.items()})


def _ask(child: Child, count: int) -> float:
    return float(child.ask(str(count)))


def _through_http(databases: dict[str, Path], effort: Effort) -> Measured:
    with ExitStack() as stack:
        load = stack.enter_context(Load())
        sides = {}
        for seed, (size, path) in enumerate(databases.items()):
            log = stack.enter_context(path.with_suffix(".log").open("wb"))
            service = stack.enter_context(
                Child("-m", "bench.peers.service", str(path), KEY, core=MEASURED_CORE, log=log)
            )
            cursors = _Cursors(SIZES[size], seed)
            sides[size] = partial(_p50_us, load, int(service.read()), cursors, effort.count(USUAL_PAGES))
        found = take_turns(sides, effort.rounds)
    return ratio("page_http", found["many"], found["few"], {f"{size}_us": values for size, values in found.items()})


def _p50_us(load: Load, port: int, cursors: _Cursors, count: int) -> float:
    requests = [request(f"/v1/assistants?after={each}&limit={LIMIT}", KEY) for each in cursors.draw(count)]
    return load.run(Order(port, 1, count, requests)).p50_us


class _Cursors:
    """Random ids of a database that `fill` has filled; other ones at every draw."""

    def __init__(self, size: int, seed: int) -> None:
        self._ids = random_ids(size, seed)
        self._source = random.Random(seed)

    def draw(self, count: int) -> list[str]:
        return self._source.choices(self._ids, k=count)


# ---------------------------------------------------------------------------------- in the other process


async def read_pages(path: str, cursors: _Cursors) -> None:
    """For every number on standard input read that many pages, and say the median time of one in microseconds."""
    store = await SQLiteStore.open(path)
    print("ready", flush=True)
    for line in sys.stdin:
        times = []
        for cursor in cursors.draw(int(line)):
            began = time.perf_counter()
            await store.page("assistant", limit=LIMIT, ascending=False, after=cursor, before=None)
            times.append(time.perf_counter() - began)
        print(sorted(times)[len(times) // 2] * 1e6, flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(read_pages(sys.argv[1], _Cursors(int(sys.argv[2]), int(sys.argv[3]))))
