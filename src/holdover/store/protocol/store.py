"""What the engine asks of a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

from .chunks import FileVectors, IndexedFile, Passage
from .files import Part, UploadChange, UploadRow
from .objects import Kind, Modification, NewObject, Page, Reference, ThreadChange
from .replies import Repeatable
from .runs import Changed, RunChange, RunRow
from .vector_stores import ChangedStoreFile, StoreFileChange, StoreFileRow, StoreFiles, Tally

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
        new: Sequence[NewObject],
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
        known: RunRow | None = None,
    ) -> Changed | None:
        """Change a run by what ``change`` makes of its row; ``None`` if there is no such run (in this thread).

        ``change`` must be quick and pure: it runs inside the transaction, which holds the row, perhaps more than once.
        It says ``None`` where nothing is to be written, and what it raises is raised here. A change that is not
        ``durable`` survives the end of the process, but perhaps not of the machine; the next one that is makes it so.

        With ``repeatable``, a request that was carried out before changes nothing: ``reply`` is what it was answered.

        ``known`` is the row as whoever holds its lease believes it to be. A store may call ``change`` on it first,
        outside of any transaction, and write what comes of that if the row is so; ``Changed.row`` is then this one, at
        the time of the change. If it is not so, or ``change`` said ``None`` or raised, all goes as without it.

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

    # Chunks. They are written, replaced and removed inside the transactions that change the file's object in the vector
    # store, by `index_file`, `unindex` and `relabel` of ``sqlite/chunks.py`` and ``postgres/chunks.py``.

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

    async def nearest(
        self, vector: Sequence[float], *, limit: int, indexed: Sequence[int]
    ) -> Sequence[tuple[int, float]]:
        """Return the chunks of placed files that are nearest to a vector of length 1, in any order, with the cosines.

        They are found by an index that may miss some; of files that are not placed, none is. Only chunks of these
        indexings are ranked.
        """

    async def cosines(
        self, vector: Sequence[float], numbers: Sequence[int], *, indexed: Sequence[int]
    ) -> Sequence[tuple[int, float]]:
        """Return chunks by their numbers with the cosines, as far as they are placed ones of these indexings."""

    async def passages(self, numbers: Sequence[int]) -> Sequence[Passage]:
        """Return chunks by their numbers, in any order; those that are gone are left out."""

    async def indexed_text(self, store_id: str, file_id: str) -> str | None:
        """Return the text of a file as it was read when it was indexed in a vector store; ``None`` if it was not."""

    async def sweep_chunks(self, limit: int) -> int:
        """Take away up to ``limit`` chunks that no file has any more; return how many: 0 when none is left."""

    async def place_chunks(self, limit: int) -> int:
        """Place up to ``limit`` chunks of a vector store that has too many to compare; return how many were dealt with.

        That is 0 when none is left, and always where there is no index of vectors.
        """

    def now(self) -> float:
        """Return the database's time in Unix seconds, as well as it is known without asking."""

    async def close(self) -> None:
        """Finish what was begun and close the database."""
