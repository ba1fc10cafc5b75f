"""Services and workers that are killed, frozen and robbed of their database: nothing is lost, stuck or doubled.

``make chaos`` does all of it, the ordinary tests a little. What happens when is decided by a seed, which is printed.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests import postgres

from holdover import AsyncClient

from .fleet import Fleet, Member, free_port
from .users import BRIEF_S, FUNCTION, Users
from .witness import Postgres, SQLite, Witness, is_given_up, what_is_wrong

IS_FULL = bool(os.environ.get("CHAOS_FULL"))
SEED = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))
LEASE_S = 1.0
#: What a sweep may add, with a machine that has little time for anybody.
SWEEP_S = 4.0


class Plan(msgspec.Struct, frozen=True):
    """How much is done, at least; and seconds between two such things, at most."""

    runs: int
    kills: int
    freezes: int
    restarts: int = 0
    users: int = 8
    pause_s: float = 0.6


PLANS = {
    "sqlite": Plan(runs=600, kills=100, freezes=20, pause_s=1.2) if IS_FULL else Plan(runs=24, kills=3, freezes=1),
    "postgres": Plan(runs=2000, kills=300, freezes=100, restarts=5, users=32, pause_s=0.3)
    if IS_FULL
    else Plan(runs=40, kills=5, freezes=2, restarts=1, users=12),
}


class Chaos:
    """Maltreats a fleet until the plan is carried out."""

    def __init__(
        self, plan: Plan, fleet: Fleet, users: Users, witness: Witness, server: postgres.Server | None
    ) -> None:
        self.left = Counter(kill=plan.kills, freeze=plan.freezes, restart=plan.restarts)
        self.done: Counter[str] = Counter()
        self._plan = plan
        self._fleet = fleet
        self._users = users
        self._witness = witness
        self._server = server
        self._chance = random.Random(SEED)
        self._freezes: set[asyncio.Task[None]] = set()

    async def reign(self) -> None:
        while self.left.total() or len(self._users.runs) < self._plan.runs:
            await asyncio.sleep(self._chance.uniform(0.05, self._plan.pause_s))
            what = self._chance.choice(sorted(self.left.elements()) or ["kill"])
            at_hand = self._fleet.at_hand()
            if len(at_hand) <= len(self._fleet.members) // 2:
                continue  # where nobody is left to work, nothing is shown
            if what == "restart":
                await self._restart()
            else:
                await self._maltreat(self._chance.choice(at_hand), what)
            self.done[what] += 1
            self.left[what] -= self.left[what] > 0
            if self.done.total() % 50 == 0:
                print(f"{dict(self.done)}, {len(self._users.runs)} runs", flush=True)
        await asyncio.gather(*self._freezes)

    async def _maltreat(self, member: Member, what: str) -> None:
        if what == "kill":
            pid = member.pid
            await self._witness.note_death(pid, member.kill())
            return
        task = asyncio.create_task(member.freeze(LEASE_S * self._chance.uniform(1.2, 2.5)))
        self._freezes.add(task)
        task.add_done_callback(self._freezes.discard)

    async def _restart(self) -> None:
        assert self._server is not None
        await asyncio.to_thread(self._server.restart, "immediate")
        self._witness.disturbed_at = time.monotonic()


@pytest.fixture
def seed() -> int:
    print(f"CHAOS_SEED={SEED}")  # shown when it fails
    return SEED


async def test_a_service_that_is_killed_and_frozen_loses_and_doubles_nothing(tmp_path: Path, seed: int) -> None:
    lives = random.Random(seed)
    path = tmp_path / "holdover.db"
    port = free_port()

    def arguments() -> list[str]:
        lifetime_s = lives.choice((600, 600, BRIEF_S))
        where = ("--port", str(port), "--database", str(path), "--data-dir", str(tmp_path))
        return ["serve", *where, "--lease-s", str(LEASE_S), "--run-lifetime-s", str(lifetime_s)]

    service = Member("service", arguments, tmp_path / "log", port=port)
    witness = Witness(SQLite(path))
    async with Fleet([service]) as fleet:
        await _reign(PLANS["sqlite"], fleet, Users([service.address], [service.address], seed), witness)


@pytest.fixture
def server() -> Any:
    """A server of the test's own: it is maltreated, too."""
    with tempfile.TemporaryDirectory(prefix="hpg-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        try:
            started = postgres.Server(Path(folder))
            started.start()
        except postgres.Unavailable as error:
            pytest.skip(f"no PostgreSQL: {error}")
        started.end_with_this_process()
        yield started
        started.stop("immediate")


@asynccontextmanager
async def _processes(url: str, folder: Path, *, lease_s: float = LEASE_S) -> AsyncIterator[Fleet]:
    """Three workers, two services that do not work, and a third whose runs have a short life."""
    shared = ("--database", url, "--data-dir", str(folder), "--lease-s", str(lease_s), "--drain-s", "1")

    def serving(port: int, lifetime_s: float) -> Any:
        special = ("--no-worker", "--port", str(port), "--run-lifetime-s", str(lifetime_s))
        return lambda: ["serve", *shared, *special]

    members = [Member(f"worker-{n}", lambda: ["worker", *shared], folder / f"worker-{n}.log") for n in range(3)]
    for name, lifetime_s in (("service-0", 600), ("service-1", 600), ("brief", BRIEF_S)):
        port = free_port()
        members.append(Member(name, serving(port, lifetime_s), folder / f"{name}.log", port=port))
    async with Fleet(members) as fleet:
        yield fleet


async def test_workers_and_services_that_are_killed_and_frozen_lose_and_double_nothing(
    tmp_path: Path, seed: int, server: postgres.Server
) -> None:
    witness = Witness(Postgres(server.url))
    async with _processes(server.url, tmp_path) as fleet:
        *_, one, other, brief = (each.address for each in fleet.members if each.port)
        await _reign(PLANS["postgres"], fleet, Users([one, other], [brief], seed), witness, server)
        print(await _cancelling(fleet, 100 if IS_FULL else 8))
        assert [await each.end() for each in fleet.members] == [0] * len(fleet.members)


@pytest.mark.skipif(not IS_FULL, reason="takes as long as the default lease")
async def test_the_runs_of_a_killed_worker_are_another_s_within_20_seconds_by_default(
    tmp_path: Path, server: postgres.Server
) -> None:
    witness = Witness(Postgres(server.url))
    witness.disturbed_at = time.monotonic() - 60
    async with _processes(server.url, tmp_path, lease_s=10) as fleet:
        first, *_ = fleet.members
        service = next(each for each in fleet.members if each.port)
        async with AsyncClient(base_url=service.address) as client:
            assistant = await client.create_assistant("gpt-4o", instructions="x")
            for _ in range(60):
                thread = await client.create_thread(messages=[{"role": "user", "content": "!say a\n!hang"}])
                await client.create_run(thread.id, assistant.id)

        async def all_are_driven() -> bool:
            return {status for _, _, status in await witness.list_active()} == {"in_progress"}

        await _until(all_are_driven)
        await witness.note_death(first.pid, first.kill())
        watching = asyncio.create_task(witness.watch())
        try:
            async with asyncio.timeout(25):
                await witness.no_orphans.wait()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            witness.database.close()
    recoveries = sorted(witness.recoveries)
    assert recoveries
    print(f"lease 10 s: {len(recoveries)} runs taken from the dead after {recoveries[0]:.1f} to {recoveries[-1]:.1f} s")
    assert recoveries[-1] <= 20


async def _reign(
    plan: Plan, fleet: Fleet, users: Users, witness: Witness, server: postgres.Server | None = None
) -> None:
    """Carry out a plan, let it become quiet, and look at what is left."""
    began = time.monotonic()
    chaos = Chaos(plan, fleet, users, witness, server)
    async with users:
        watching = asyncio.create_task(witness.watch())
        reigning = asyncio.create_task(chaos.reign())
        living = [asyncio.create_task(users.live(n)) for n in range(plan.users)]
        try:
            ended, _ = await asyncio.wait([watching, reigning, *living], return_when=asyncio.FIRST_COMPLETED)
            assert ended == {reigning}, [each.result() for each in ended]
            users.stop.set()
            await fleet.settle()
            calm_at = time.monotonic()
            await asyncio.gather(reigning, *living)
            await _end_what_nobody_knows(users, witness)
            calm_s = time.monotonic() - calm_at
            wrong = await what_is_wrong(users, witness)
            runs = [msgspec.json.decode(row[0]) for row in await witness.database.rows("SELECT document FROM runs")]
        finally:
            for each in (watching, reigning, *living):
                each.cancel()
            await asyncio.gather(watching, reigning, *living, return_exceptions=True)
            witness.database.close()
    _report(chaos, users, witness, runs, time.monotonic() - began, calm_s)
    assert wrong == []
    assert sum(map(is_given_up, runs)) < len(runs) / 4, "that many deaths were not planned for"
    assert witness.looks > 0
    if IS_FULL and server is not None:  # the only service of a SQLite file must first be there again
        assert max(witness.recoveries) < LEASE_S + SWEEP_S


async def _end_what_nobody_knows(users: Users, witness: Witness) -> None:
    """Have runs end whose making was answered, but to nobody."""
    from .users import KINDS, STUCK_S, Asked

    kind = msgspec.structs.replace(KINDS["hang"], does="cancel")
    chance = random.Random(0)
    async with asyncio.timeout(STUCK_S):
        while active := await witness.list_active():
            for run_id, thread_id, status in active:
                if status in ("in_progress", "requires_action"):
                    await users._cancel(Asked(run_id, thread_id, kind), chance)
            await asyncio.sleep(0.1)


def _report(
    chaos: Chaos, users: Users, witness: Witness, runs: list[dict[str, Any]], took_s: float, calm_s: float
) -> None:
    ends = Counter(run["status"] for run in runs)
    given_up = sum(map(is_given_up, runs))
    recoveries = sorted(witness.recoveries)
    print(
        f"seed {SEED}: {dict(chaos.done)}, {sum(each.starts for each in chaos._fleet.members)} starts\n"
        f"{len(runs)} runs, {len(users.runs)} acknowledged: {dict(ends)}; {given_up} given up after three deaths\n"
        f"{users.counts['competing runs refused']} competing runs refused, {witness.looks} looks into the database\n"
        f"{took_s:.0f} s, the last {calm_s:.1f} of them calm"
    )
    if recoveries:
        middle, last = recoveries[len(recoveries) // 2], recoveries[-1]
        print(f"{len(recoveries)} runs taken from the dead: after {middle:.2f} s (p50), {last:.2f} s (max)")


async def _cancelling(fleet: Fleet, count: int) -> str:
    """Measure how long it takes from asking one service until another shows the run cancelled."""
    one, other = [each.address for each in fleet.members if each.port][:2]
    took = []
    async with AsyncClient(base_url=one, timeout_s=10) as client:
        assistant = await client.create_assistant("gpt-4o", instructions="x", tools=[FUNCTION])
        for _ in range(count):
            thread = await client.create_thread(messages=[{"role": "user", "content": "!say a\n!hang"}])
            run = await client.create_run(thread.id, assistant.id)

            async def is_under_way(where: Any = (thread.id, run.id)) -> bool:
                return bool((await client.list_messages(where[0], run_id=where[1])).data)

            async def is_over(where: Any = (thread.id, run.id)) -> bool:
                return (await client.get_run(*where, base_url=other)).status == "cancelled"

            await _until(is_under_way)
            asked_at = time.monotonic()
            await client.cancel_run(thread.id, run.id)
            await _until(is_over)
            took.append((time.monotonic() - asked_at) * 1000)
    took.sort()
    p99 = took[round(0.99 * (len(took) - 1))]
    assert not IS_FULL or p99 <= 200
    return f"{count} cancelled on one machine, seen so on another: p50 {took[count // 2]:.0f} ms, p99 {p99:.0f} ms"


async def _until(happened: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await happened():  # noqa: ASYNC110 - another process tells of it only when it is asked
            await asyncio.sleep(0.002)
