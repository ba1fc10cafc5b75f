"""What is kept of every object, and what is asked when one is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import msgspec

#: The kinds of objects that a store keeps, each in a table of its own.
Kind = Literal[
    "assistant",
    "vector_store",
    "thread",
    "message",
    "run",
    "step",
    "file",
    "upload",
    "upload_part",
    "vector_store_file",
    "batch",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: Kinds whose objects belong to another object and are deleted with it, and the kind of that.
OWNERS: dict[Kind, Kind] = {
    "message": "thread",
    "run": "thread",
    "step": "run",
    "upload_part": "upload",
    "vector_store_file": "vector_store",
    "batch": "vector_store",
}
#: Kinds whose objects name files that are taken out of them when a file is deleted, in an order in which to lock them.
FILE_USERS: tuple[Kind, ...] = ("assistant", "thread")


class NewObject(msgspec.Struct, frozen=True, kw_only=True):
    """An object to be added.

    Attributes:
        owner: The object that it belongs to, for kinds that belong to one.
        run_id: The run that made it (messages).
        extra: JSON that is kept beside the document and never sent.
        labels: Pairs that a list can be filtered by: a thread's metadata.
        run: What is searched of a run.
        file: What is searched of a file, an upload or a part of one.
        store_file: What is searched of a file in a vector store. One that is in the store already begins anew.
        file_ids: Files that are taken out of an assistant or a thread when they are deleted.
    """

    kind: Kind
    id: str
    created_at: int
    document: bytes
    owner: str | None = None
    run_id: str | None = None
    extra: bytes | None = None
    labels: Mapping[str, str] | None = None
    run: RunColumns | None = None
    file: FileColumns | None = None
    store_file: StoreFileColumns | None = None
    file_ids: Sequence[str] = ()


class FileColumns(msgspec.Struct, frozen=True, kw_only=True):
    """What is searched of a file, an upload or a part of one, beside its document.

    Attributes:
        digest: By which its bytes are found: their SHA-256, in hexadecimal; ``None`` for an upload.
        bytes: How many they are, or are to be.
        expires_at: When it goes by itself, in Unix seconds; ``None``: never.
        deadline: The database's time, in Unix seconds, from which on nobody promises that the bytes are still there: it
            is not added then. ``None`` where no bytes came.
    """

    digest: str | None = None
    bytes: int
    purpose: str | None = None
    expires_at: float | None = None
    deadline: float | None = None


class StoreFileColumns(msgspec.Struct, frozen=True, kw_only=True):
    """What is searched of a file in a vector store, beside its document. It is to be indexed.

    Attributes:
        batch: The batch that it came with.
        size: How many files came with the same request: those of small ones are indexed first.
    """

    batch: str | None = None
    size: int = 1


class RunColumns(msgspec.Struct, frozen=True, kw_only=True):
    """What is searched of a run, beside its document.

    Attributes:
        status: The wire's.
        expires_at: When it ends at the latest, in Unix seconds; ``None`` once it has ended.
        lease: Held on it from the start by whoever made it, if it is to be driven there. The epoch begins at 0 with
            and without one.
    """

    status: str
    expires_at: float | None
    lease: Lease | None = None


class Lease(msgspec.Struct, frozen=True):
    """A claim that expires: whose, and for how many seconds from now (the database's now)."""

    worker: str
    seconds: float


def lease_columns(row: Any, change: Any) -> dict[str, Any]:
    """Return what a change makes of a row's lease: its ``epoch``, ``attempts``, ``worker`` and ``lease_until``."""
    epoch, worker, until = row.epoch, row.worker, row.lease_until
    if isinstance(change.lease, Lease):
        epoch, worker, until = epoch + 1, change.lease.worker, row.now + change.lease.seconds
    elif change.lease is None:
        until = None
    attempts = row.attempts if change.attempts is None else change.attempts
    return {"epoch": epoch, "attempts": attempts, "worker": worker, "lease_until": until}


class Reference(msgspec.Struct, frozen=True):
    """An object that must exist for a write to be made."""

    kind: Kind
    id: str


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Part of a list: ids and documents in the list's order."""

    ids: list[str]
    documents: list[bytes]
    has_more: bool


class MissingReference(Exception):
    """A write referred to an object that does not exist; nothing was written."""

    def __init__(self, reference: Reference) -> None:
        super().__init__(f"{reference.kind} {reference.id}")
        self.reference = reference


class UnknownCursor(Exception):
    """A list was to begin at an object that never existed."""

    def __init__(self, identifier: str) -> None:
        super().__init__(identifier)
        self.id = identifier


class Modification(msgspec.Struct, frozen=True):
    """What an object becomes, and what must exist for that.

    ``labels`` and ``file_ids`` (see `NewObject`) replace those it has; ``None`` keeps them.
    """

    document: bytes
    requires: Sequence[Reference] = ()
    labels: Mapping[str, str] | None = None
    file_ids: Sequence[str] | None = None


class ThreadChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a thread becomes when something is added to it (``None``: what it is), and what is added beside that."""

    modification: Modification | None = None
    added: Sequence[NewObject] = ()
    requires: Sequence[Reference] = ()


class TooLate(Exception):
    """The deadline of a file's bytes is past: they may have been swept away. Nothing was written."""


class ThreadBusy(Exception):
    """A thread has a run that has not ended, so nothing may be added to it; nothing was written."""

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.run_id = run_id
