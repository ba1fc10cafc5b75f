"""The life of a file in a vector store: one table says what may follow what, one loop sees to it in each process.

The file's row is the job, as a run's is: it is claimed under a lease, and whoever finishes it writes its chunks, its
status and what it takes in one transaction, fenced by the epoch that it was given with. A crash is a lease that runs
out; a file that ends its workers again and again fails. So does one that cannot be read, with the reason in
``last_error``. How many files of a store or a batch are in which state is counted from the rows.

A file can be found by its words as soon as it was read, and by its meaning when it is `completed`. While one that was
indexed before is indexed again (it was attached again, or the embedder is another), what was there can be found.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Literal, get_args

import msgspec

from holdover import telemetry
from holdover.errors import InternalServerError
from holdover.store.protocol import (
    Blobs,
    ChangedStoreFile,
    Index,
    Lease,
    NewChunk,
    NewIndexedFile,
    NoIndex,
    Relabelled,
    Store,
    StoreFileChange,
    StoreFileRow,
)
from holdover.tools.file_search.protocol import WORDS_ONLY, Indexed, Indexer, Unreadable
from holdover.wire.files import FileObject
from holdover.wire.vector_stores import DEFAULT_CHUNKING, FileError, FileStatus, VectorStoreFile

from .core import encode
from .loops import Sleep, about, for_ever, until_done, woken

Happening = Literal["attach", "complete", "fail", "cancel", "lose", "outdate"]
HAPPENINGS: tuple[Happening, ...] = get_args(Happening)

#: What each happening means, for the manual.
MEANINGS: dict[Happening, str] = {
    "attach": "it was attached again",
    "complete": "its chunks and their vectors were written",
    "fail": "it cannot be read or indexed, or workers died of it again and again",
    "cancel": "its batch was cancelled",
    "lose": "its worker gave no sign of life",
    "outdate": "another embedder is in use",
}

TABLE: dict[tuple[FileStatus, Happening], FileStatus] = {
    ("in_progress", "attach"): "in_progress",
    ("in_progress", "complete"): "completed",
    ("in_progress", "fail"): "failed",
    ("in_progress", "cancel"): "cancelled",
    ("in_progress", "lose"): "in_progress",
    ("completed", "attach"): "in_progress",
    ("completed", "outdate"): "in_progress",
    ("failed", "attach"): "in_progress",
    ("cancelled", "attach"): "in_progress",
}

#: Where nothing is found of a file.
UNSEARCHED: frozenset[FileStatus] = frozenset(("failed", "cancelled"))

#: How many times a file may lose its worker before it is taken for the cause.
MAX_ATTEMPTS = 3
#: How often files are looked for without a hint, in seconds (at most).
POLL_S = 2.0
#: How often chunks that no file has any more are swept away, in seconds, and how many in one transaction.
SWEEP_S = 5.0
SWEEP_CHUNKS = 500
#: How often large vector stores are looked for, whose chunks are to be found by an index, in seconds;
#: and how many chunks are placed in one transaction: each finds its neighbours, which takes up to 3 ms.
PLACE_S = 60.0
PLACE_CHUNKS = 500
#: How many files are put back at once when the embedder is another.
OUTDATED = 200

#: Files of so few chunks are embedded within seconds, and are not written twice for that.
FEW = 16

SORRY = "Sorry, something went wrong."
REMEDY = "File search is not installed where this service runs: pip install 'holdover[search]'."
LOST = f"The file was not indexed after {MAX_ATTEMPTS} attempts: its worker ended, or its content cannot be had."


def after(status: str, happening: Happening) -> FileStatus | None:
    """Return the status that follows, ``None`` where this cannot happen."""
    return TABLE.get((status, happening))  # type: ignore[arg-type]


def changed(
    row: StoreFileRow, happening: Happening, *, error: FileError | None = None, **columns: Any
) -> StoreFileChange | None:
    """Return what a file becomes, ``None`` where this cannot happen. ``columns`` are those of the change."""
    status = after(row.status, happening)
    if status is None:
        return None
    usage_bytes = row.usage_bytes if status == "completed" else 0
    if status in UNSEARCHED:
        columns["index"] = NoIndex()
    elif isinstance(index := columns.get("index"), Index):
        usage_bytes = index.usage_bytes
    file = msgspec.structs.replace(decode_file(row.document), status=status, usage_bytes=usage_bytes, last_error=error)
    return StoreFileChange(status=status, document=encode(file), **columns)


def claimed(row: StoreFileRow, lease: Lease) -> StoreFileChange | None:
    """Return a file under a lease; or failed, if it lost too many workers."""
    attempts = row.attempts + (row.lease_until is not None)
    if attempts >= MAX_ATTEMPTS:
        return changed(row, "fail", error=FileError(code="server_error", message=LOST), attempts=attempts)
    return changed(row, "lose", lease=lease, attempts=attempts)


def cancelled(row: StoreFileRow) -> StoreFileChange | None:
    """Return a file whose batch is cancelled."""
    return changed(row, "cancel")


def outdated(row: StoreFileRow) -> StoreFileChange | None:
    """Return a file that another embedder has indexed, to be indexed again."""
    return changed(row, "outdate", attempts=0)


class Indexing:
    """Indexes files: one for each process.

    Args:
        blobs: Where the bytes of files are.
        indexer: Reads files, cuts them and embeds their chunks.
        name: Unique among all processes of one database.
        lease_s: Seconds without a sign of life after which another takes its files.
        max_files: How many files are indexed at the same time.
        claims: Whether files are looked for.
    """

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        indexer: Indexer,
        *,
        name: str,
        lease_s: float = 10.0,
        max_files: int = 2,
        claims: bool = True,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.name = name
        self._store = store
        self._blobs = blobs
        self._indexer = indexer
        self._lease = Lease(name, lease_s)
        self._max_files = max_files
        self._claims = claims
        self._sleep = sleep
        self._tasks: dict[int, tuple[int, asyncio.Task[None]]] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._is_stopping = False

    async def start(self) -> None:
        """Begin to work."""
        if not self._claims:
            return
        loops = [
            for_ever(each, _on_failure, self._sleep) for each in (self._claim, self._renew, self._sweep, self._place)
        ]
        loops.append(until_done(self.put_back_outdated, _on_failure, self._sleep))
        self._loops = [asyncio.create_task(each) for each in loops]

    async def stop(self) -> None:
        """Take no more files and let go of those under way: another process, or the next one, begins them again."""
        self._is_stopping = True
        tasks = [*self._loops, *(task for _, task in self._tasks.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def wake(self) -> None:
        """Look for files now."""
        self._wake.set()

    # ---------------------------------------------------------------------------------------------- claiming

    async def _claim(self) -> None:
        await self.claim()
        await woken(self._wake, min(POLL_S, self._lease.seconds / 4))

    async def claim(self) -> None:
        """Take as many files as there is room for."""
        room = self._max_files - len(self._tasks)
        self._wake.clear()
        if room <= 0 or self._is_stopping:
            return
        found = await self._store.change_store_files(
            "unclaimed", lambda row: claimed(row, self._lease), limit=room, durable=False
        )
        for each in found:
            if each.change is not None and each.change.lease is not None:
                self._take(each)
            elif each.change is not None:
                self._told(each.row, "failed", LOST)

    def _take(self, given: ChangedStoreFile) -> None:
        seq = given.row.seq
        if seq in self._tasks:
            self._tasks[seq][1].cancel()  # its lease ran out here, too
        attempts = given.change.attempts if given.change is not None else None
        task = asyncio.create_task(self._index(given.row, given.epoch, attempts or 0))
        self._tasks[seq] = (given.epoch, task)

        def forget(task: asyncio.Task[None]) -> None:
            if self._tasks.get(seq, (0, None))[1] is task:
                del self._tasks[seq]
            self._wake.set()  # there is room again

        task.add_done_callback(forget)

    async def _renew(self) -> None:
        await self._sleep(self._lease.seconds / 4)
        held = {seq: epoch for seq, (epoch, _) in self._tasks.items()}
        if not held:
            return
        kept = await self._store.renew_store_files(self.name, held, self._lease.seconds)
        for seq, epoch in held.items():
            now = self._tasks.get(seq)
            if seq not in kept and now is not None and now[0] == epoch:
                now[1].cancel()  # cancelled, removed, attached again, or another's by now

    # ---------------------------------------------------------------------------------------------- one file

    async def _index(self, row: StoreFileRow, epoch: int, attempts: int) -> None:
        """Index a file. Raises nothing but cancellation; a lease that is not given back runs out."""
        try:
            await self._complete(row, epoch)
        except asyncio.CancelledError:
            if self._is_stopping:
                await self._release(row, epoch)
            raise
        except InternalServerError as error:
            # The database or the bytes cannot be had: the lease runs out, and whoever finds the file begins again.
            telemetry.emit("index.failure", file_id=row.id, store_id=row.store_id, error=error)
        except ModuleNotFoundError as error:
            telemetry.emit("index.failure", file_id=row.id, store_id=row.store_id, error=error)
            await self._fail(row, epoch, FileError(code="server_error", message=REMEDY))
        except Unreadable as error:
            if error.code == "server_error" and attempts + 1 < MAX_ATTEMPTS:
                return  # it is not the file's fault, and may pass: it is tried again when the lease has run out
            await self._fail(row, epoch, FileError(code=error.code, message=error.message))
        except Exception as error:
            telemetry.emit("index.failure", file_id=row.id, store_id=row.store_id, error=error)
            await self._fail(row, epoch, FileError(code="server_error", message=SORRY))

    async def _complete(self, row: StoreFileRow, epoch: int) -> None:
        found = await self._store.find_file(row.id)
        if found is None:
            return  # it was deleted, and went from its stores with that
        document, digest = found
        name = _decode_name(document).filename
        sizes = (decode_file(row.document).chunking_strategy or DEFAULT_CHUNKING).static
        chunking = f"{sizes.max_chunk_size_tokens}/{sizes.chunk_overlap_tokens}"
        if (row.embedder, row.chunking) == (self._indexer.identity, chunking):
            # It is indexed as it should be: attached again, it is only to be found by other attributes.
            await self._write(row, epoch, _found_by_other_attributes)
            return

        async def on_text(read: Indexed) -> None:
            # What is there of it with vectors is found better than this.
            if len(read.chunks) > FEW and row.embedder is None:
                await self._write(row, epoch, lambda now: _found_by_words(now, new_index(now, read, name=name)))

        async with self._blobs.local(digest) as path:
            indexed = await self._indexer.index(path, name, **msgspec.structs.asdict(sizes), on_text=on_text)
        how = {"name": name, "embedder": self._indexer.identity, "chunking": chunking}
        if await self._write(
            row, epoch, lambda now: changed(now, "complete", attempts=0, index=new_index(now, indexed, **how))
        ):
            self._told(row, "completed")

    async def _fail(self, row: StoreFileRow, epoch: int, error: FileError) -> None:
        with contextlib.suppress(InternalServerError):  # the lease runs out, and it is tried again
            if await self._write(row, epoch, lambda now: changed(now, "fail", error=error)):
                self._told(row, "failed", error.message)

    async def _release(self, row: StoreFileRow, epoch: int) -> None:
        with contextlib.suppress(InternalServerError):
            await self._write(row, epoch, lambda now: changed(now, "lose", lease=None))

    async def _write(
        self, row: StoreFileRow, epoch: int, make: Callable[[StoreFileRow], StoreFileChange | None]
    ) -> bool:
        """Write what becomes of a file, if it is still this worker's; return whether it is."""

        def fenced(now: StoreFileRow) -> StoreFileChange | None:
            return make(now) if (now.seq, now.epoch, now.worker) == (row.seq, epoch, self.name) else None

        written = await self._store.change_store_file(row.store_id, row.id, fenced)
        return written is not None and written.change is not None

    def _told(self, row: StoreFileRow, status: str, reason: str = "") -> None:
        telemetry.emit("index.end", file_id=row.id, store_id=row.store_id, status=status, reason=reason)

    # ------------------------------------------------------------------------------------------- what is left

    async def put_back_outdated(self) -> None:
        """Have files indexed again whose vectors another embedder made: they cannot be compared with its own."""
        if self._indexer.identity == WORDS_ONLY:
            return  # the vectors that there are will be good again when there is an embedder again
        count = 0
        while put_back := await self._store.change_store_files(
            "stale", outdated, limit=OUTDATED, of=self._indexer.identity
        ):
            count += len(put_back)
            self._wake.set()
        if count:
            telemetry.emit("index.outdated", files=count, embedder=self._indexer.identity)

    async def _sweep(self) -> None:
        if not await self._store.sweep_chunks(SWEEP_CHUNKS):
            await self._sleep(about(SWEEP_S))

    async def _place(self) -> None:
        if not await self._store.place_chunks(PLACE_CHUNKS):
            await self._sleep(about(PLACE_S))


def new_index(
    row: StoreFileRow, indexed: Indexed, *, name: str, embedder: str | None = None, chunking: str | None = None
) -> Index:
    """Return what is found of a file, by its words alone without an embedder."""
    file = NewIndexedFile(
        file_id=row.id,
        file_name=name,
        attributes=decode_file(row.document).attributes or {},
        embedder=embedder or "",
        text=indexed.text,
    )
    return Index(
        file=file,
        chunks=[NewChunk(**msgspec.structs.asdict(each)) for each in indexed.chunks],
        embedder=embedder,
        chunking=chunking,
        usage_bytes=indexed.usage_bytes if embedder else 0,
    )


def _found_by_words(row: StoreFileRow, index: Index) -> StoreFileChange | None:
    # It is all that there is of the file until it is completed; somebody may have cancelled it meanwhile.
    if row.status != "in_progress":
        return None
    return StoreFileChange(status=row.status, document=row.document, lease="keep", index=index)


def _found_by_other_attributes(row: StoreFileRow) -> StoreFileChange | None:
    return changed(row, "complete", attempts=0, index=Relabelled(decode_file(row.document).attributes or {}))


def _on_failure(error: Exception) -> None:
    telemetry.emit("index.failure", file_id="", store_id="", error=error)


decode_file = msgspec.json.Decoder(VectorStoreFile).decode
_decode_name = msgspec.json.Decoder(FileObject).decode
