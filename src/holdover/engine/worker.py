"""Finds runs to drive, keeps their leases alive, and picks up what others left: one for each process.

Three loops: runs that are waiting are claimed (woken by hints, and looked for now and then, since hints may be lost);
leases are renewed, all in one statement; and runs that are overdue are put right, whoever drove them. All of it is
asked of the database, by its clock.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from holdover import telemetry
from holdover.errors import InternalServerError
from holdover.store.protocol import Changed, Lease, RunChange, RunRow
from holdover.wire.runs import Run

from . import lifecycle
from .core import encode
from .driver import Driver, Interruption, Work
from .endings import overdue
from .lifecycle import decode_run
from .loops import Sleep, Step, about, for_ever, woken
from .turn import run_frame

#: How often runs that are waiting are looked for without a hint, and overdue ones, in seconds (at most).
POLL_S = 2.0
SWEEP_S = 5.0
#: How many runs are claimed, or put right, at once.
BATCH = 64


class Worker:
    """Drives runs.

    Args:
        name: Unique among all processes of one database.
        lease_s: Seconds without a sign of life after which another worker takes its runs.
        max_runs: How many runs are driven at the same time; streams that are asked for here come on top.
        claims: Whether it looks for runs; otherwise it drives only those whose stream is asked for here.
    """

    def __init__(
        self,
        work: Work,
        *,
        name: str,
        lease_s: float = 10.0,
        max_runs: int = 1000,
        claims: bool = True,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.name = name
        self.lease_s = lease_s
        self._work = work
        self._store = work.store
        self._max_runs = max_runs
        self._claims = claims
        self._sleep = sleep
        self._drivers: dict[str, Driver] = {}
        self._driving: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._is_stopping = False
        self._renewed_at = float("-inf")
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._claiming = asyncio.Lock()

    async def start(self) -> None:
        """Begin to work."""
        loops: list[Step] = [self._renew, self._sweep]
        if self._claims:
            loops.append(self._claim)
        self._loops = [asyncio.create_task(for_ever(each, _on_failure, self._sleep)) for each in loops]

    async def stop(self, drain_s: float) -> None:
        """Take no more runs; finish those under way, and after ``drain_s`` seconds give the rest back to the queue."""
        self._is_stopping = True
        try:
            async with asyncio.timeout(drain_s):
                await self._settled()
        except TimeoutError:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1), self._claiming:
                    pass
            for driver in list(self._drivers.values()):
                driver.interrupt("release")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await self._idle.wait()
        leftover = [*self._loops, *self._driving]
        for task in leftover:
            task.cancel()
        await asyncio.gather(*leftover, return_exceptions=True)

    async def _settled(self) -> None:
        """Wait until nothing is driven; what is just being claimed is this worker's, too."""
        async with self._claiming:
            pass
        await self._idle.wait()

    # ------------------------------------------------------------------------------------- what is asked here

    def lease(self, *, always: bool = False) -> Lease | None:
        """Return the lease under which a run is made, or continued, to be driven here; ``None`` if others shall.

        Args:
            always: Somebody waits here for its events, so it is driven here.
        """
        if self._is_stopping or not (always or (self._claims and len(self._drivers) < self._max_runs)):
            return None
        return Lease(self.name, self.lease_s)

    def drive(self, row: RunRow, run: Run, messages: Sequence[bytes] | None = None) -> None:
        """Drive a run in progress that this worker holds the lease of. See `Driver`."""
        self.interrupt(row.id, "lost")  # a driver that is still here has lost it, whatever it believes
        driver = Driver(self._work, row, run, messages)
        self._drivers[driver.run_id] = driver
        self._idle.clear()
        task = asyncio.create_task(driver.drive())
        self._driving.add(task)
        task.add_done_callback(lambda task: self._let_go(driver, task))

    def interrupt(self, run_id: str, why: Interruption) -> bool:
        """Interrupt a run if it is driven here, and say whether it is."""
        driver = self._drivers.get(run_id)
        if driver is None:
            return False
        driver.interrupt(why)
        return True

    def is_driving(self, run_id: str) -> bool:
        """Whether a run is driven here."""
        return run_id in self._drivers

    def wake(self) -> None:
        """Look for runs now."""
        self._wake.set()

    def _let_go(self, driver: Driver, task: asyncio.Task[None]) -> None:
        self._driving.discard(task)
        if self._drivers.get(driver.run_id) is driver:
            del self._drivers[driver.run_id]
        if not self._drivers:
            self._idle.set()
        if len(self._drivers) == self._max_runs - 1:
            self._wake.set()  # there is room again

    def take_hint(self, status: str, run_id: str) -> None:
        """Take in what another process tells of a run (`holdover.store.protocol.Hint`)."""
        if status == "queued":
            self._wake.set()
        elif status == "cancelling":
            self.interrupt(run_id, "cancel")
        elif status == "deleted":
            self.interrupt(run_id, "deleted")

    # ---------------------------------------------------------------------------------------------- claiming

    async def _claim(self) -> None:
        room = min(BATCH, self._max_runs - len(self._drivers))
        claimed = 0
        self._wake.clear()  # also where nothing is looked for now: one that is set would never be waited for
        async with self._claiming:
            if room > 0 and not self._is_stopping:
                found = await self._store.claim_runs(room, self._claimed)
                claimed = len(found)
                for each in found:
                    self._take(each)
        if claimed < BATCH:
            await woken(self._wake, min(POLL_S, self.lease_s / 4))

    def _claimed(self, row: RunRow) -> RunChange:
        run = lifecycle.changed(decode_run(row.document), "in_progress", int(row.now))
        return RunChange(
            status=run.status,
            document=encode(run),
            expires_at=row.expires_at,
            lease=Lease(self.name, self.lease_s),
        )

    def _take(self, claimed: Changed) -> None:
        if claimed.change is not None:
            self.drive(claimed.after, decode_run(claimed.change.document))

    # --------------------------------------------------------------------------------------- signs of life

    async def _renew(self) -> None:
        await self._sleep(self.lease_s / 4)
        held = {run_id: driver.epoch for run_id, driver in self._drivers.items()}
        if not held:
            return
        clock = asyncio.get_running_loop().time
        asked_at = clock()
        try:
            # With the pause before, half a lease: asked twice in vain, what is driven is let go when the lease is over.
            async with asyncio.timeout(self.lease_s / 4):
                statuses = await self._store.renew_leases(self.name, held, self.lease_s)
        except (InternalServerError, TimeoutError) as error:
            telemetry.emit("store.failure", error=error)
            self._let_go_of_what_is_lost(clock())
            return
        self._renewed_at = asked_at
        for run_id, epoch in held.items():
            driver = self._drivers.get(run_id)
            if driver is None or driver.epoch != epoch:
                continue
            status = statuses.get(run_id)
            if status is None:
                driver.interrupt("lost")
            elif status == "cancelling":
                driver.interrupt("cancel")

    def _let_go_of_what_is_lost(self, now: float) -> None:
        """End model calls whose lease must have run out by now: others may be driving those runs already."""
        for driver in list(self._drivers.values()):
            if now - max(self._renewed_at, driver.given_at) >= self.lease_s:
                driver.interrupt("lost")

    # ---------------------------------------------------------------------------------------- what is overdue

    async def _sweep(self) -> None:
        due = await self._store.list_due_runs(BATCH)
        changed = 0
        for run_id in due:
            try:
                changed += await self.put_right(run_id)
            except InternalServerError:
                raise
            except Exception as error:  # of this run's own: it must not keep others from being put right
                telemetry.emit("run.failure", run_id=run_id, error=error)
        if changed < BATCH:
            await self._sleep(about(min(SWEEP_S, self.lease_s / 2)))

    def _overdue(self, row: RunRow) -> RunChange | None:
        """Return what becomes of a run that is overdue. One that is driven here was only not renewed in time."""
        is_ours = row.worker == self.name and self.is_driving(row.id)
        if is_ours and (row.expires_at is None or row.now < row.expires_at):
            return None
        return overdue(row)

    async def put_right(self, run_id: str) -> bool:
        """End a run whose time is up, or take it from a worker that gives no sign of life; return whether it was so."""
        changed = await self._store.change_run(run_id, self._overdue)
        if changed is None or changed.change is None:
            return False
        run = decode_run(changed.change.document)
        if run.status == "queued":
            self._wake.set()
            return True
        channel = self._work.broadcast.find(run_id)
        if channel is not None:
            channel.publish(run_frame(run), 1)
            self._work.broadcast.end(run_id)
        telemetry.emit("run.end", run_id=run_id, status=run.status, seconds=0.0)
        return True


def _on_failure(error: Exception) -> None:
    telemetry.emit("run.failure", run_id="", error=error)
