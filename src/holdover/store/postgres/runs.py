"""PostgreSQL: runs as jobs. Functions on a connection in a transaction. Read ``sqlite/runs.py`` first."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ..protocol import Changed, NewObject, RunChange, RunRow, ThreadBusy
from ..rows import changed, columns_of, hint_of, run_columns
from ..statements import load_statements
from . import objects
from .database import Clock
from .hints import notify
from .query import Connection, Query, Write, fetch_rows, fetch_value, write_together

Make = Callable[[RunRow], RunChange | None]

_statements = load_statements("postgres", "runs.sql")

INSERT = Query(_statements["insert_run"])
RUN = Query(_statements["run"])
WRITE = Query(_statements["write_run"])
ACTIVE_RUN = Query(_statements["active_run"])
LOCK_THREAD = Query(_statements["lock_thread"])
LOCK_ACTIVE_RUN = Query(_statements["lock_active_run"])
IS_CLAIMABLE = Query(_statements["is_claimable"])
CLAIM = Query(_statements["claim"])
DUE = Query(_statements["due"])
RENEW = Query(_statements["renew"])


async def insert(connection: Connection, each: NewObject) -> None:
    """Add a run, and tell of it if anybody may claim it."""
    assert each.run is not None
    lease = each.run.lease
    given = columns_of(each, "extra") | {"status": each.run.status, "expires_at": each.run.expires_at}
    given |= {"worker": lease.worker, "lease_s": lease.seconds} if lease else {"worker": None, "lease_s": None}
    await fetch_value(connection, INSERT, **given)
    if lease is None:
        await notify(connection, "queued", each.id)


async def find(connection: Connection, run_id: str, clock: Clock) -> RunRow | None:
    """Return a run as it is; nobody changes it until the transaction ends."""
    rows = await _rows(connection, clock, RUN, id=run_id)
    return rows[0] if rows else None


async def change(connection: Connection, row: RunRow, make: Make) -> Changed:
    """Carry out `Store.change_run` on a row."""
    made = make(row)
    done = changed(row, made)
    if made is not None:
        for writes in _writes(row, made):
            await write_together(connection, writes)
        hint = hint_of(done)
        if hint is not None:
            await notify(connection, hint, row.id)
    return done


def _writes(row: RunRow, made: RunChange) -> list[list[Write]]:
    """Return what is to be written for a change: what may be written together, and what after that."""
    together: list[Write] = [
        *((objects.REMOVE[each.kind], {"id": each.id}) for each in made.removed),
        *((objects.REPLACE[kind], {"id": identifier, "document": new}) for kind, identifier, new in made.replaced),
    ]
    others: list[list[Write]] = []
    kinds = set()
    for each in made.added:
        write = objects.INSERT[each.kind], columns_of(each, "run_id", "extra")
        if each.kind in kinds:  # their order is that of their list
            others.append([write])
        else:
            kinds.add(each.kind)
            together.append(write)
    return [[*together, (WRITE, run_columns(row, made))], *others]


async def is_claimable(connection: Connection) -> bool:
    """Whether there is a run that can be claimed."""
    return await fetch_value(connection, IS_CLAIMABLE) is not None


async def claim(connection: Connection, make: Make, clock: Clock, limit: int) -> list[Changed]:
    """Carry out `Store.claim_runs`."""
    return [await change(connection, row, make) for row in await _rows(connection, clock, CLAIM, limit=limit)]


async def renew(connection: Connection, worker: str, held: Mapping[str, int], seconds: float) -> dict[str, str]:
    """Carry out `Store.renew_leases`."""
    given = {"ids": list(held), "epochs": list(held.values()), "worker": worker, "seconds": seconds}
    return dict(await fetch_rows(connection, RENEW, **given))


async def due(connection: Connection, limit: int) -> list[str]:
    """Carry out `Store.list_due_runs`."""
    return [row[0] for row in await fetch_rows(connection, DUE, limit=limit)]


async def active(connection: Connection, thread_id: str) -> str | None:
    """Return the id of the run that locks a thread."""
    found: str | None = await fetch_value(connection, ACTIVE_RUN, owner=thread_id)
    return found


async def require_idle(connection: Connection, thread_id: str) -> None:
    """Refuse a write to a thread that has a run that has not ended."""
    run_id = await active(connection, thread_id)
    if run_id is not None:
        raise ThreadBusy(run_id)


async def lock_thread(connection: Connection, thread_id: str) -> bool:
    """Keep others from adding to a thread that is idle, until the transaction ends; return whether there is one."""
    return await fetch_value(connection, LOCK_THREAD, id=thread_id) is not None


async def lock_active(connection: Connection, thread_id: str) -> str | None:
    """Lock the run that locks a thread and return its id."""
    found: str | None = await fetch_value(connection, LOCK_ACTIVE_RUN, owner=thread_id)
    return found


async def _rows(connection: Connection, clock: Clock, query: Query, **given: Any) -> list[RunRow]:
    asked = time.monotonic()
    rows = [RunRow(**row) for row in await fetch_rows(connection, query, **given)]
    if rows:
        clock.learn(rows[-1].now, asked)
    return rows
