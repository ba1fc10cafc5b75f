"""What becomes of a run that nobody drives: it goes back to the queue, or ends. Pure.

What an attempt that died had begun is taken away with it: what a thread keeps is what an attempt finished.
"""

from __future__ import annotations

from typing import Any

import msgspec

from holdover.store.protocol import DRIVEN, Reference, RunChange, RunRow
from holdover.wire.runs import RunError

from . import lifecycle
from .core import encode
from .lifecycle import Happening, decode_run, ended_step, state_of

#: What a run's owner is told of what is none of their concern.
SORRY = "Sorry, something went wrong."
#: How long a driver that holds its lease is given to end its run when that expires, in seconds.
GRACE_S = 2.0


def given_up(row: RunRow, *, counts: bool) -> RunChange | None:
    """Return what becomes of a run whose worker is gone: it goes back to the queue, or ends.

    Args:
        counts: Whether the run may have been the cause.
    """
    happening: Happening = "lose"
    attempts = row.attempts + counts
    error = None
    if attempts >= lifecycle.MAX_ATTEMPTS and row.status == "in_progress":
        happening, error = "fail", RunError(code="server_error", message=SORRY)
    status = lifecycle.after(row.status, happening)
    if status is None:
        return None
    state = state_of(row.extra)
    run = lifecycle.changed(decode_run(row.document), status, int(row.now), usage=state.usage, error=error)
    removed = [Reference("step", state.step.id)] if state.step is not None else []
    if state.message_id is not None:
        removed.append(Reference("message", state.message_id))
    if state.before is not None:
        step_id, message_id = state.before
        removed += [Reference("step", step_id), Reference("message", message_id)]
    return RunChange(
        status=status,
        document=encode(run),
        expires_at=None if run.is_terminal else row.expires_at,
        extra=encode(state.begun_anew()),
        attempts=attempts,
        removed=removed,
    )


def overdue(row: RunRow) -> RunChange | None:
    """Return what becomes of a run that is overdue; ``None`` if it is not, or its driver is about to see to it."""
    holds = row.lease_until is not None and row.lease_until > row.now
    if row.expires_at is not None and row.now >= row.expires_at:
        if row.status in DRIVEN and holds and row.now < row.expires_at + GRACE_S:
            return None
        return expired(row)
    if row.status in DRIVEN and not holds:
        return given_up(row, counts=True)
    return None


def expired(row: RunRow) -> RunChange | None:
    """Return what becomes of a run whose time is up."""
    status = lifecycle.after(row.status, "expire")
    return None if status is None else ended(row, status)


def ended(row: RunRow, status: Any) -> RunChange:
    """Return the end of a run that nobody drives: its step ends with it, a message that was begun is taken away."""
    if row.status in DRIVEN:
        left = given_up(row, counts=False)
        assert left is not None
        return _as(left, row, status)
    state = state_of(row.extra)
    now = int(row.now)
    run = lifecycle.changed(decode_run(row.document), status, now, usage=state.usage)
    step = ended_step(state.step, lifecycle.STEP_ENDS[run.status], now) if state.step is not None else None
    return RunChange(
        status=status,
        document=encode(run),
        expires_at=None,
        extra=encode(state.between_steps(state.usage)),
        replaced=[("step", step.id, encode(step))] if step is not None else (),
    )


def _as(left: RunChange, row: RunRow, status: Any) -> RunChange:
    run = lifecycle.changed(decode_run(row.document), status, int(row.now), usage=state_of(row.extra).usage)
    return msgspec.structs.replace(left, status=status, document=encode(run), expires_at=None, attempts=None)
