"""Runs as jobs: what is read of one, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from .objects import Kind, Lease, NewObject, Reference, lease_columns

#: Statuses of a run that has not ended: its thread is locked.
ACTIVE = ("queued", "in_progress", "requires_action", "cancelling")
#: Statuses of a run that a worker drives: it holds a lease.
DRIVEN = ("in_progress", "cancelling")


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """A run as the store has it, read inside the transaction that is to change it; or as its driver left it.

    Attributes:
        extra: JSON that is kept beside the document and never sent.
        epoch: How often a worker was given the run. Whoever writes as its driver compares it with the one it was given:
            another one means that the lease was lost and the run is somebody else's.
        attempts: How many leases on it ran out since it last got ahead.
        worker: Who holds the lease, or held it last.
        lease_until: When the lease runs out, in Unix seconds; ``None`` where there is none.
        now: The database's time, in Unix seconds; nobody else's clock counts.
    """

    id: str
    thread_id: str
    document: bytes
    extra: bytes | None
    status: str
    epoch: int
    attempts: int
    worker: str | None
    lease_until: float | None
    expires_at: float | None
    now: float


class RunChange(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a run, and what is written with it in the same transaction.

    Attributes:
        status, document, expires_at: The run's new ones. ``extra`` is replaced where it is given.
        lease: Given to this worker (and the epoch counts up), kept as it is (``"keep"``), or let go (``None``).
        attempts: The new number, or ``None`` to keep it.
        added: New messages and steps.
        replaced: Documents of messages and steps; of those that are gone, nothing is written.
        removed: Messages and steps that go away; no place of theirs is remembered.
        reply: What a repeatable request is answered with; the run's document otherwise.
    """

    status: str
    document: bytes
    expires_at: float | None
    extra: bytes | None = None
    lease: Lease | Literal["keep"] | None = None
    attempts: int | None = None
    added: Sequence[NewObject] = ()
    replaced: Sequence[tuple[Kind, str, bytes]] = ()
    removed: Sequence[Reference] = ()
    reply: bytes | None = None

    def applied_to(self, row: RunRow) -> RunRow:
        """Return the row as it is after the change."""
        return msgspec.structs.replace(
            row,
            status=self.status,
            document=self.document,
            extra=row.extra if self.extra is None else self.extra,
            expires_at=self.expires_at,
            **lease_columns(row, self),
        )


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """What `Store.change_run` did: the row it found, the change (``None``: nothing was written), and the answer."""

    row: RunRow
    change: RunChange | None
    reply: bytes

    @property
    def after(self) -> RunRow:
        """The row after the change; its lease may be renewed at any time."""
        return self.row if self.change is None else self.change.applied_to(self.row)
