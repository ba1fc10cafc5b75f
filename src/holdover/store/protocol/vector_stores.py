"""The files of vector stores as jobs: what is read of one, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from .chunks import NewChunk, NewIndexedFile
from .objects import Lease

#: Which files of vector stores are meant: those nobody holds a valid lease on, of all that are in progress; those of a
#: batch that are in progress; those that were indexed by another embedder than this and are completed.
StoreFiles = Literal["unclaimed", "batch", "stale"]


class StoreFileRow(msgspec.Struct, frozen=True, kw_only=True):
    """A file in a vector store as the store has it, read inside the transaction that is to change it.

    Attributes:
        seq: The row's number, never given out again.
        id: The file's own.
        usage_bytes: What it takes.
        epoch, attempts, worker, lease_until, now: As of a run (`RunRow`).
        embedder, chunking: How it was indexed last, if what was indexed then can still be searched.
    """

    seq: int
    id: str
    store_id: str
    document: bytes
    status: str
    usage_bytes: int
    batch: str | None
    epoch: int
    attempts: int
    worker: str | None
    lease_until: float | None
    embedder: str | None
    chunking: str | None
    now: float


class StoreFileChange(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a file in a vector store, and what is written with it in the same transaction.

    Attributes:
        status, document: Its new ones.
        lease, attempts: As of a run (`RunChange`).
        index: What is found of it from now on; ``None`` to leave that as it is.
    """

    status: str
    document: bytes
    lease: Lease | Literal["keep"] | None = None
    attempts: int | None = None
    index: Index | Relabelled | NoIndex | None = None


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """The file and its chunks, in the place of those that were there.

    Attributes:
        embedder, chunking: How it was indexed; ``None`` while it is not finished.
        usage_bytes: What it takes.
    """

    file: NewIndexedFile
    chunks: Sequence[NewChunk]
    embedder: str | None
    chunking: str | None
    usage_bytes: int


class Relabelled(msgspec.Struct, frozen=True):
    """The same chunks, found by other attributes."""

    attributes: Mapping[str, str | float | bool]


class NoIndex(msgspec.Struct, frozen=True):
    """Nothing is found of it any more."""


class ChangedStoreFile(msgspec.Struct, frozen=True):
    """What was done to a file in a vector store: the row that was found, the change (``None``: nothing was written)."""

    row: StoreFileRow
    change: StoreFileChange | None

    @property
    def epoch(self) -> int:
        """The epoch after the change."""
        return self.row.epoch + (self.change is not None and isinstance(self.change.lease, Lease))


class Tally(msgspec.Struct, frozen=True):
    """How many files of a vector store or a batch are in a status, and what they take."""

    status: str
    count: int
    usage_bytes: int
