"""What a change makes of a row, and what rows say: pure, and the same for every database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from .protocol import (
    Changed,
    Index,
    NewObject,
    NoIndex,
    Relabelled,
    Repeatable,
    RunChange,
    RunRow,
    StoreFileChange,
    StoreFileRow,
    StoreFiles,
    Tally,
    lease_columns,
    reused_key,
)

#: What a change may alter of a run's row, and what it is found by.
RUN_COLUMNS = ("id", "status", "document", "extra", "expires_at", "epoch", "attempts", "worker", "lease_until")

#: How rows of files in vector stores are meant: one file, or some of `StoreFiles`.
StoreFileCase = Literal["file"] | StoreFiles
STORE_FILE_CASES: tuple[StoreFileCase, ...] = ("file", "unclaimed", "batch", "stale")


def columns_of(new: NewObject, *names: str) -> dict[str, Any]:
    """Return these columns of an object to be added, and its ``id``, ``owner``, ``created_at`` and ``document``."""
    return {name: getattr(new, name) for name in ("id", "owner", "created_at", "document", *names)}


def run_columns(row: RunRow, change: RunChange) -> dict[str, Any]:
    """Return a run's new columns."""
    after = change.applied_to(row)
    return {name: getattr(after, name) for name in RUN_COLUMNS}


def store_file_columns(row: StoreFileRow, change: StoreFileChange) -> dict[str, Any]:
    """Return the new columns of a file in a vector store."""
    usage_bytes, embedder, chunking = row.usage_bytes, row.embedder, row.chunking
    match change.index:
        case Index(usage_bytes=usage_bytes, embedder=embedder, chunking=chunking):
            pass
        case NoIndex():
            usage_bytes, embedder, chunking = 0, None, None
        case Relabelled() | None:
            pass
    return {
        "seq": row.seq,
        "status": change.status,
        "document": change.document,
        "usage_bytes": usage_bytes,
        "embedder": embedder,
        "chunking": chunking,
        **lease_columns(row, change),
    }


def changed(row: RunRow, change: RunChange | None) -> Changed:
    """Return what was done to a run."""
    reply = row.document if change is None else change.document if change.reply is None else change.reply
    return Changed(row=row, change=change, reply=reply)


def hint_of(done: Changed) -> str | None:
    """Return the status that workers are told of, ``None`` where there is nothing for them in what was done."""
    change = done.change
    if change is None:
        return None
    is_claimable = change.status == "queued" and change.lease is None
    is_to_end = change.status == "cancelling" and done.row.status != "cancelling"
    return change.status if is_claimable or is_to_end else None


def tallied(rows: Iterable[Sequence[Any]]) -> dict[str, list[Tally]]:
    """Return rows of an id, a status, a count and a sum by their id."""
    found: dict[str, list[Tally]] = {}
    for identifier, *tally in rows:
        found.setdefault(identifier, []).append(Tally(*tally))
    return found


def earlier_reply(request: Repeatable, row: Sequence[bytes] | None) -> bytes | None:
    """Return what a request was answered before, given the fingerprint and the reply that are remembered of its key.

    Raises:
        BadRequestError: The key was used for another request.
    """
    if row is None:
        return None
    fingerprint, reply = row
    if fingerprint != request.fingerprint:
        raise reused_key(request.key)
    return reply
