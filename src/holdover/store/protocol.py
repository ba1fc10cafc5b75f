"""What the engine asks of a store. SQLite answers it today; the contract suite in ``tests/store`` binds every other.

A stored object is a *document*: the wire's JSON, encoded once when it is written and never decoded to be read.
Beside it stand only the columns that are searched. Every write is one transaction and is durable when it returns.

The bytes of files are kept elsewhere (`Blobs`), and named by rows of the store.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

import msgspec

from holdover.errors import BadRequestError

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
KINDS: tuple[Kind, ...] = (
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
)
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

#: How long the answer to a request with an ``Idempotency-Key`` is remembered, in seconds.
REPLY_LIFETIME_S = 24 * 60 * 60
#: For how long bytes that came are left alone by the sweep, in seconds.
GRACE_S = 3600.0
#: For how long after they came bytes may be named, in seconds.
DEADLINE_S = 1800.0


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


class Reference(msgspec.Struct, frozen=True):
    """An object that must exist for a write to be made."""

    kind: Kind
    id: str


class Repeatable(msgspec.Struct, frozen=True, kw_only=True):
    """A request that its caller may repeat: its key, what it is for, a digest of its content, and when it came."""

    operation: str
    key: str
    fingerprint: bytes
    now: int


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


#: Statuses of a run that has not ended: its thread is locked.
ACTIVE = ("queued", "in_progress", "requires_action", "cancelling")
#: Statuses of a run that a worker drives: it holds a lease.
DRIVEN = ("in_progress", "cancelling")


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """A run as the store has it, read inside the transaction that is to change it.

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


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """What `Store.change_run` did: the row it found, the change (``None``: nothing was written), and the answer."""

    row: RunRow
    change: RunChange | None
    reply: bytes

    @property
    def epoch(self) -> int:
        """The epoch after the change."""
        return self.row.epoch + (self.change is not None and isinstance(self.change.lease, Lease))


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


#: Which files of vector stores are meant: those nobody holds a valid lease on, of all that are in progress; those of a
#: batch that are in progress; those that were indexed by another embedder than this and are completed.
StoreFiles = Literal["unclaimed", "batch", "stale"]


class Tally(msgspec.Struct, frozen=True):
    """How many files of a vector store or a batch are in a status, and what they take."""

    status: str
    count: int
    usage_bytes: int


class Part(msgspec.Struct, frozen=True):
    """A part of an upload: where its bytes are found, and how many they are."""

    id: str
    digest: str
    bytes: int


class UploadRow(msgspec.Struct, frozen=True, kw_only=True):
    """An upload as the store has it, read inside the transaction that is to change it. ``parts`` are in no order."""

    document: bytes
    extra: bytes | None
    parts: Sequence[Part]
    now: float


class UploadChange(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of an upload, and what is written with it in the same transaction.

    Attributes:
        document, expires_at: Its new ones.
        added: A part, or the file that it came to.
        drops_parts: Whether its parts go away.
        reply: What the request is answered with; the upload's document otherwise.
    """

    document: bytes
    expires_at: float | None
    added: Sequence[NewObject] = ()
    drops_parts: bool = False
    reply: bytes | None = None


#: A chunk's number is that of its file's indexing and, in the last bits, its place in the file.
CHUNK_BITS = 20


class NewIndexedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it is to be found in a vector store.

    Attributes:
        attributes: What searches are filtered by.
        embedder: Who made the vectors of its chunks; those of two cannot be compared.
        text: All of it, as it was read.
    """

    file_id: str
    file_name: str
    attributes: Mapping[str, str | float | bool]
    embedder: str
    text: str


class NewChunk(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a file: ``text[start:end]`` of it, how many tokens that has, its vector as little-endian float16."""

    text: str
    start: int
    end: int
    tokens: int
    vector: bytes


class IndexedFile(msgspec.Struct, frozen=True):
    """A file in a vector store. ``indexed`` numbers this indexing of it and is never given out again."""

    indexed: int
    file_id: str
    file_name: str
    attributes: Mapping[str, str | float | bool]
    embedder: str


class FileVectors(msgspec.Struct, frozen=True):
    """The vectors of one indexing, little-endian float16 one after another; chunks are numbered on from the first."""

    indexed: int
    first_chunk: int
    vectors: bytes


class Passage(msgspec.Struct, frozen=True):
    """A chunk as it was read: ``start`` and ``end`` count code points in the file's text."""

    chunk: int
    indexed: int
    text: str
    start: int
    end: int


#: What is told to workers of all processes: a run's status and its id, or ``"indexing"`` and a vector store's. A hint:
#: it may be lost, never relied on.
Hint = Callable[[str, str], None]


class Store(Protocol):
    """Remembers objects. All methods may be called from one event loop only, that which opened the store."""

    async def get(self, kind: Kind, identifier: str, *, owner: str | None = None) -> bytes | None:
        """Return an object's document, ``None`` if there is none (or none that belongs to this owner)."""

    async def page(
        self,
        kind: Kind,
        *,
        limit: int,
        ascending: bool,
        after: str | None,
        before: str | None,
        owner: str | None = None,
        run_id: str | None = None,
        labels: Mapping[str, str] | None = None,
        purpose: str | None = None,
        batch: str | None = None,
        status: str | None = None,
    ) -> Page:
        """Return up to ``limit`` objects, exactly in the order of their creation (or its reverse).

        ``after`` and ``before`` are ids, themselves left out; with ``before`` alone the objects nearest to it are
        returned. The id of a deleted object still marks its place. Of kinds with owners, those of one owner are
        listed; ``run_id`` lists only what that run made, ``labels`` only objects that have all of these pairs,
        ``purpose`` only files of that purpose, ``batch`` and ``status`` only files of a vector store that came with
        that batch or are in that state.

        Raises:
            UnknownCursor: An id is not that of any object of this kind, present or deleted.
        """

    async def create(
        self,
        objects: Sequence[NewObject],
        *,
        reply: bytes,
        requires: Sequence[Reference] = (),
        repeatable: Repeatable | None = None,
        idle_thread: str | None = None,
        on_thread: Callable[[bytes], ThreadChange] | None = None,
    ) -> bytes:
        """Add objects and return ``reply``; or, where the request was carried out before, what it was answered then.

        ``on_thread`` says what the idle thread becomes with it; it must be quick and pure, as for `modify`.

        ``idle_thread`` must have no active run, and gets none while this is written: of two that would add to it at
        the same time, on two machines, one comes first.

        Raises:
            MissingReference: Something in ``requires`` does not exist. Told before `ThreadBusy`.
            TooLate: The bytes of a file came too long ago.
            ThreadBusy: The thread that was to be idle has an active run.
            BadRequestError: The key was used for another request.
        """

    async def modify(
        self, kind: Kind, identifier: str, change: Callable[[bytes], Modification], *, owner: str | None = None
    ) -> bytes | None:
        """Put what ``change`` makes of an object's document in its place and return it; ``None`` if there is none.

        ``change`` must be quick and pure: it runs inside the transaction, perhaps more than once.

        Raises:
            MissingReference: Something that the change requires does not exist.
        """

    async def delete(self, kind: Kind, identifier: str, *, owner: str | None = None) -> bool:
        """Delete an object and all that belongs to it; return whether there was one. Files have `delete_file`."""

    # Files

    async def delete_file(self, file_id: str, without: Callable[[Kind, bytes], bytes]) -> bool:
        """Delete a file; return whether there was one. Its bytes are left to who sweeps them.

        Args:
            without: Returns the document of an object that names the file as it is without that; quick and pure.
        """

    async def change_upload(
        self,
        upload_id: str,
        change: Callable[[UploadRow], UploadChange],
        *,
        repeatable: Repeatable | None = None,
    ) -> bytes | None:
        """Change an upload by what ``change`` makes of its row; return the reply, ``None`` if there is no such upload.

        ``change`` must be quick and pure: it runs inside the transaction, which holds the row, perhaps more than once.
        What it raises is raised here. With ``repeatable``, a request that was carried out before changes nothing and
        is answered as it was then.

        Raises:
            TooLate: The bytes of what it adds came too long ago.
            BadRequestError: The key was used for another request.
        """

    async def list_parts(self, upload_id: str) -> Sequence[Part]:
        """Return the parts of an upload, in no order."""

    async def identity(self) -> str:
        """Return what tells this database from all others: letters and digits that were drawn when it was made."""

    async def find_file(self, file_id: str) -> tuple[bytes, str] | None:
        """Return a file's document and the digest of its bytes, ``None`` if there is none."""

    async def list_expired(self, kind: Literal["file", "upload"], limit: int) -> Sequence[str]:
        """Return ids of up to ``limit`` files or uploads that are past their expiry, the oldest due first."""

    async def named_digests(self, digests: Sequence[str]) -> set[str]:
        """Return those of these digests that a file or a part of an upload has."""

    # Files of vector stores

    async def get_many(self, kind: Kind, identifiers: Sequence[str]) -> Mapping[str, bytes]:
        """Return the documents of those of these objects that exist, by id."""

    async def change_store_file(
        self, store_id: str, file_id: str, change: Callable[[StoreFileRow], StoreFileChange | None]
    ) -> ChangedStoreFile | None:
        """Change a file of a vector store by what ``change`` makes of its row; ``None`` if it is not in the store.

        ``change`` must be quick and pure: it runs inside the transaction, which holds the row, perhaps more than once.
        It says ``None`` where nothing is to be written, and what it raises is raised here.
        """

    async def change_store_files(
        self,
        which: StoreFiles,
        change: Callable[[StoreFileRow], StoreFileChange | None],
        *,
        limit: int,
        of: str | None = None,
        durable: bool = True,
    ) -> Sequence[ChangedStoreFile]:
        """Change up to ``limit`` files of vector stores, as `change_store_file` does, in one transaction.

        Those that another is claiming at the same moment are passed over, not waited for.

        Args:
            which: Files that are meant; those unclaimed are taken smallest request first, then oldest.
            of: The batch, or the embedder.
            durable: See `change_run`.
        """

    async def count_store_files(
        self, by: Literal["store", "batch"], identifiers: Sequence[str]
    ) -> Mapping[str, Sequence[Tally]]:
        """Return how many files of vector stores, or of batches, are in which status; without files, of none."""

    async def renew_store_files(self, worker: str, held: Mapping[int, int], seconds: float) -> set[int]:
        """Renew the leases of files that a worker indexes, all in one statement.

        Args:
            held: The epoch that each was given with, by the row's number.

        Returns:
            Those that are still this worker's to index.
        """

    # Runs

    async def change_run(
        self,
        run_id: str,
        change: Callable[[RunRow], RunChange | None],
        *,
        thread_id: str | None = None,
        durable: bool = True,
        repeatable: Repeatable | None = None,
    ) -> Changed | None:
        """Change a run by what ``change`` makes of its row; ``None`` if there is no such run (in this thread).

        ``change`` must be quick and pure: it runs inside the transaction, which holds the row, perhaps more than once.
        It says ``None`` where nothing is to be written, and what it raises is raised here. A change that is not
        ``durable`` survives the end of the process, but perhaps not of the machine; the next one that is makes it so.

        With ``repeatable``, a request that was carried out before changes nothing: ``reply`` is what it was answered.

        Raises:
            BadRequestError: The key was used for another request.
        """

    async def claim_runs(self, limit: int, change: Callable[[RunRow], RunChange | None]) -> Sequence[Changed]:
        """Change up to ``limit`` runs that are queued and that nobody holds a valid lease on, the oldest first.

        Runs that another worker is claiming at the same moment are passed over, not waited for. Runs past their
        expiry are not given out. It is not durable by itself (see `change_run`): a claim is worth nothing anyway once
        the machine is gone.
        """

    async def renew_leases(self, worker: str, held: Mapping[str, int], seconds: float) -> Mapping[str, str]:
        """Renew the leases of runs that a worker holds, all in one statement.

        Args:
            held: The epoch that each run was given with, by the run's id.

        Returns:
            The status of each run that is still held; one that is missing here is no longer this worker's. Only runs
            with a lease of this worker and this epoch count, in whatever status.
        """

    async def list_due_runs(self, limit: int) -> Sequence[str]:
        """Return ids of active runs that are past their expiry, or driven under a lease that ran out: oldest due first.

        A queued run with a lapsed lease is not due: it can be claimed.
        """

    async def find_active_run(self, thread_id: str) -> str | None:
        """Return the id of the run that locks a thread, or ``None``."""

    async def watch(self, hint: Hint) -> None:
        """Have ``hint`` called on the event loop when a run is queued for any worker, to be cancelled, or deleted.

        The hint's status is ``"queued"``, ``"cancelling"`` or ``"deleted"``; ``"indexing"`` says that files were added
        to a vector store. Changes of this process may or may not be told; those of others are, as far as the database
        tells them.
        """

    # Chunks. They are written, replaced and removed by `index_file`, `unindex` and `relabel` of ``sqlite_chunks`` and
    # ``postgres_chunks``, inside the transactions that change the file's object in the vector store.

    async def indexed_files(self, store_id: str) -> Sequence[IndexedFile]:
        """Return the files of a vector store whose chunks can be searched, in the order of their indexing."""

    async def load_vectors(self, indexed: Sequence[int]) -> Sequence[FileVectors]:
        """Return the vectors of indexings, in the order of their numbers; of those that are gone, none."""

    async def match_words(
        self, store_id: str, text: str, *, limit: int, indexed: Sequence[int] | None = None
    ) -> Sequence[tuple[int, float]]:
        """Return the chunks that have words of a text, the best first: their numbers and scores.

        A score is the part, 0..1, that a chunk has of the most that these words could score, rare ones weighing more.
        With ``indexed``, only chunks of these indexings are ranked.
        """

    async def passages(self, chunks: Sequence[int]) -> Sequence[Passage]:
        """Return chunks by their numbers, in any order; those that are gone are left out."""

    async def indexed_text(self, store_id: str, file_id: str) -> str | None:
        """Return the text of a file as it was read when it was indexed in a vector store; ``None`` if it was not."""

    async def sweep_chunks(self, limit: int) -> int:
        """Take away up to ``limit`` chunks that no file has any more; return how many: 0 when none is left."""

    def now(self) -> float:
        """Return the database's time in Unix seconds, as well as it is known without asking."""

    async def close(self) -> None:
        """Finish what was begun and close the database."""


def reused_key(key: str) -> BadRequestError:
    """Return the error for an ``Idempotency-Key`` that came with two different requests."""
    return BadRequestError(
        f"The Idempotency-Key '{key}' was already used for a request with other content.",
        param="Idempotency-Key",
        code="idempotency_key_reused",
    )


# ------------------------------------------------------------------------------------------- bytes


class Blob(msgspec.Struct, frozen=True):
    """Bytes that were received: their SHA-256, how many they are, and their MD5; both digests in hexadecimal."""

    digest: str
    bytes: int
    md5: str


class TooManyBytes(Exception):
    """More bytes came than were to be taken; nothing is kept of them."""


class Blobs(Protocol):
    """Keeps bytes. All methods may be called from one event loop only."""

    async def receive(self, parts: AsyncIterator[bytes], *, limit_bytes: int) -> Blob:
        """Take bytes as they come; they are durable when this returns. Whatever ``parts`` raises is raised here.

        Raises:
            TooManyBytes: There are more than ``limit_bytes``.
            InternalServerError: They could not be written.
        """

    def read(self, digest: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Give bytes in blocks, from ``start`` up to and without ``end``. Close the iterator that is not used up.

        Raises:
            InternalServerError: They are not there, or cannot be read.
        """

    def local(self, digest: str) -> AbstractAsyncContextManager[str]:
        """Lend a path at which the bytes can be read by another process; nobody may write there.

        Raises:
            InternalServerError: They are not there.
        """

    def settled(self) -> AsyncIterator[Sequence[str]]:
        """Give the digests of bytes that came longer ago than `GRACE_S`, in batches; drop what the dead left half-way.

        Raises:
            InternalServerError: They cannot be listed.
        """

    async def delete(self, digest: str) -> None:
        """Take away bytes that no row names, unless they came within `GRACE_S`. For the sweep only."""

    async def close(self) -> None:
        """End."""
