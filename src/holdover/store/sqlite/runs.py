"""SQLite: runs as jobs. Functions on a connection in a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping

import msgspec

from ..protocol import Changed, NewObject, RunChange, RunRow, ThreadBusy
from ..rows import changed, columns_of, run_columns
from ..statements import load_statements
from . import objects

Make = Callable[[RunRow], RunChange | None]

_statements = load_statements("sqlite", "runs.sql")

INSERT = _statements["insert_run"]
RUN = _statements["run"]
WRITE = _statements["write_run"]
WRITE_SAME_STATUS = _statements["write_same_status"]
ACTIVE_RUN = _statements["active_run"]
CLAIMABLE = _statements["claimable"]
DUE = _statements["due"]
RENEW = _statements["renew"]


def insert(connection: sqlite3.Connection, each: NewObject, now: float) -> None:
    """Add a run."""
    assert each.run is not None
    lease = each.run.lease
    worker, until = (lease.worker, now + lease.seconds) if lease else (None, None)
    given = columns_of(each, "extra")
    given |= {"status": each.run.status, "expires_at": each.run.expires_at, "worker": worker, "lease_until": until}
    connection.execute(INSERT, given)


def find(connection: sqlite3.Connection, run_id: str, now: float) -> RunRow | None:
    """Return a run as it is."""
    row = connection.execute(RUN, (run_id,)).fetchone()
    if row is None:
        return None
    identifier, thread_id, document, extra, status, epoch, attempts, worker, lease_until, expires_at = row
    return RunRow(
        id=identifier,
        thread_id=thread_id,
        document=document,
        extra=extra,
        status=status,
        epoch=epoch,
        attempts=attempts,
        worker=worker,
        lease_until=lease_until,
        expires_at=expires_at,
        now=now,
    )


def change(connection: sqlite3.Connection, row: RunRow, make: Make) -> Changed:
    """Carry out `Store.change_run` on a row."""
    made = make(row)
    if made is not None:
        connection.execute(WRITE if made.status != row.status else WRITE_SAME_STATUS, run_columns(row, made))
        for reference in made.removed:
            objects.remove(connection, reference)
        for kind, identifier, document in made.replaced:
            objects.replace(connection, kind, identifier, document)
        for each in made.added:
            objects.insert(connection, each)
    return changed(row, made)


def is_claimable(connection: sqlite3.Connection, now: float) -> bool:
    """Whether there is a run that can be claimed."""
    return connection.execute(CLAIMABLE, {"now": now, "limit": 1}).fetchone() is not None


def claim(connection: sqlite3.Connection, make: Make, now: float, limit: int) -> list[Changed]:
    """Carry out `Store.claim_runs`."""
    found = connection.execute(CLAIMABLE, {"now": now, "limit": limit}).fetchall()
    rows = [find(connection, run_id, now) for (run_id,) in found]
    return [change(connection, row, make) for row in rows if row is not None]


def renew(connection: sqlite3.Connection, worker: str, held: Mapping[str, int], until: float) -> dict[str, str]:
    """Carry out `Store.renew_leases`."""
    asked = {"held": msgspec.json.encode(held).decode(), "worker": worker, "until": until}
    return dict(connection.execute(RENEW, asked).fetchall())


def due(connection: sqlite3.Connection, now: float, limit: int) -> list[str]:
    """Carry out `Store.list_due_runs`."""
    return [row[0] for row in connection.execute(DUE, {"now": now, "limit": limit})]


def active(connection: sqlite3.Connection, thread_id: str) -> str | None:
    """Return the id of the run that locks a thread."""
    row = connection.execute(ACTIVE_RUN, (thread_id,)).fetchone()
    return row[0] if row else None


def require_idle(connection: sqlite3.Connection, thread_id: str) -> None:
    """Refuse a write to a thread that has a run that has not ended."""
    run_id = active(connection, thread_id)
    if run_id is not None:
        raise ThreadBusy(run_id)
