"""PostgreSQL: runs as jobs. Functions on a connection in a transaction. Read ``sqlite/runs.py`` first."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ..protocol import Changed, Lease, NewObject, RunChange, RunRow, ThreadBusy
from ..rows import changed, columns_of, hint_of, run_columns
from ..statements import load_statements
from . import objects
from .database import Clock
from .hints import notify
from .query import Connection, Query, Write, fetch_rows, fetch_together, fetch_value, write_together

Make = Callable[[RunRow], RunChange | None]

_statements = load_statements("postgres", "runs.sql")

INSERT = Query(_statements["insert_run"])
RUN = Query(_statements["run"])
WRITE = Query(_statements["write_run"])
WRITE_KNOWN = Query(_statements["write_known"])
UNFLUSHED = Query(_statements["unflushed"])
ACTIVE_RUN = Query(_statements["active_run"])
LOCK_THREAD = Query(_statements["lock_thread"])
LOCK_ACTIVE_RUN = Query(_statements["lock_active_run"])
IS_CLAIMABLE = Query(_statements["is_claimable"])
CLAIM = Query(_statements["claim"])
DUE = Query(_statements["due"])
RENEW = Query(_statements["renew"])
#: How messages and steps are removed, replaced and added.
ALWAYS = objects.REMOVE, objects.REPLACE, objects.INSERT
IF_WRITTEN = objects.REMOVE_WRITTEN, objects.REPLACE_WRITTEN, objects.INSERT_WRITTEN


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
        beside, behind = _beside(made, if_written=False)
        await write_together(connection, [(WRITE, run_columns(row, made)), *beside])
        for each in behind:
            await write_together(connection, [each])
        hint = hint_of(done)
        if hint is not None:
            await notify(connection, hint, row.id)
    return done


async def write_known(connection: Connection, row: RunRow, made: RunChange, *, durable: bool) -> bool:
    """Write a change that was made of a run as it is believed to be, if it is so; return whether it was.

    It is one statement, and a transaction of its own.
    """
    beside, behind = _beside(made, if_written=True)
    assert not behind
    known = {"known_status": row.status, "known_document": row.document, "known_extra": row.extra}
    after = {**run_columns(row, made), "epoch": row.epoch, "worker": row.worker, "keeps_lease": made.lease == "keep"}
    parts: dict[str, Write] = {} if durable else {"unflushed": (UNFLUSHED, {})}
    parts |= {"written": (WRITE_KNOWN, {**known, **after})}
    parts |= {f"part{place}": each for place, each in enumerate(beside)}
    count = "SELECT count(*) FROM written"
    return bool(await fetch_together(connection, parts, count if durable else f"{count}, unflushed"))


def is_written_at_once(done: Changed) -> bool:
    """Whether a change can be written with `write_known`."""
    change = done.change
    if change is None or isinstance(change.lease, Lease) or hint_of(done) is not None:
        return False
    return not _beside(change, if_written=True)[1]


def _beside(made: RunChange, *, if_written: bool) -> tuple[list[Write], list[Write]]:
    """Return what is to be written beside a run: what may be in one statement, and what in one after the other."""
    remove, replace, insert = IF_WRITTEN if if_written else ALWAYS
    together: list[Write] = [
        *((remove[each.kind], {"id": each.id}) for each in made.removed),
        *((replace[kind], {"id": identifier, "document": new}) for kind, identifier, new in made.replaced),
    ]
    behind: list[Write] = []
    kinds = set()
    for each in made.added:  # those of one kind keep their order
        (behind if each.kind in kinds else together).append((insert[each.kind], columns_of(each, "run_id", "extra")))
        kinds.add(each.kind)
    return together, behind


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
