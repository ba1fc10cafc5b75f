"""SQLite: each method of the store as one reading or one transaction of the functions beside it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from .. import rows
from ..protocol import (
    Changed,
    ChangedStoreFile,
    FileVectors,
    Hint,
    IndexedFile,
    Kind,
    Modification,
    NewObject,
    Page,
    Part,
    Passage,
    Reference,
    Repeatable,
    RunChange,
    RunRow,
    StoreFileChange,
    StoreFileRow,
    StoreFiles,
    Tally,
    ThreadChange,
    UploadChange,
    UploadRow,
)
from . import chunks, files, objects, replies, runs, vector_stores
from .database import Database

#: A longer page, as of files, is not read on the event loop: ten thousand take tens of milliseconds.
SHORT_PAGE = 100


class SQLiteStore:
    """The store in one SQLite file, for one process. See `holdover.store.protocol.Store`."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.path = database.path
        self.now = clock
        self._database = database
        self._hint: Hint = lambda status, run_id: None

    @classmethod
    async def open(cls, path: str, *, clock: Callable[[], float] = time.time) -> SQLiteStore:
        """Open the database, making or migrating it as needed.

        Args:
            path: The file, or ``:memory:`` for a store that is gone when it is closed.
            clock: Returns the time in Unix seconds.

        Raises:
            ConfigurationError: Another process has it open, it is not ours, it is newer than this program, or it
                cannot be read or written.
        """
        return cls(Database.open(path), clock)

    # Objects

    async def get(self, kind: Kind, identifier: str, *, owner: str | None = None) -> bytes | None:
        def work(reader: sqlite3.Connection) -> bytes | None:
            recent = self._database.recent
            document = recent.get((kind, identifier, owner))
            if document is None:
                document = objects.get(reader, kind, identifier, owner)
                if document is not None:
                    recent.put((kind, identifier, owner), document)
            return document

        return self._database.read(work)

    async def get_many(self, kind: Kind, identifiers: Sequence[str]) -> Mapping[str, bytes]:
        return self._database.read(lambda reader: objects.get_many(reader, kind, identifiers))

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
        def work(reader: sqlite3.Connection) -> Page:
            return objects.page(
                reader,
                kind,
                limit=limit,
                ascending=ascending,
                after=after,
                before=before,
                owner=owner,
                labels=labels,
                asked={"run": run_id, "purpose": purpose, "batch": batch, "status": status},
            )

        return self._database.read(work) if limit <= SHORT_PAGE else await self._database.search(work)

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
        def work(connection: sqlite3.Connection) -> bytes:
            earlier = replies.earlier(connection, repeatable)
            if earlier is not None:
                return earlier
            objects.require(connection, requires)
            added = [*new]
            if idle_thread is not None:
                runs.require_idle(connection, idle_thread)
                if on_thread is not None:
                    added = [*objects.change_thread(connection, idle_thread, on_thread), *new]
            for each in added:
                _add(connection, each, self.now())
            replies.remember(connection, repeatable, reply)
            return reply

        answered = await self._database.write(work)
        for each in new:
            if each.run is not None and each.run.lease is None:
                self._hint("queued", each.id)
        if on_thread is not None or any(each.store_file is not None for each in new):
            self._hint("indexing", "")
        return answered

    async def modify(
        self, kind: Kind, identifier: str, change: Callable[[bytes], Modification], *, owner: str | None = None
    ) -> bytes | None:
        def work(connection: sqlite3.Connection) -> bytes | None:
            document = objects.get(connection, kind, identifier, owner)
            if document is None:
                return None
            modification = change(document)
            objects.modify(connection, kind, identifier, modification)
            return modification.document

        return await self._database.write(work)

    async def delete(self, kind: Kind, identifier: str, *, owner: str | None = None) -> bool:
        def work(connection: sqlite3.Connection) -> tuple[bool, str | None]:
            active = runs.active(connection, identifier) if kind == "thread" else None
            return objects.delete(connection, kind, identifier, owner), active

        was_there, ended = await self._database.write(work)
        if ended is not None:
            self._hint("deleted", ended)
        return was_there

    # Files

    async def delete_file(self, file_id: str, without: Callable[[Kind, bytes], bytes]) -> bool:
        return await self._database.write(lambda connection: files.forget(connection, file_id, without))

    async def change_upload(
        self,
        upload_id: str,
        change: Callable[[UploadRow], UploadChange],
        *,
        repeatable: Repeatable | None = None,
    ) -> bytes | None:
        def work(connection: sqlite3.Connection) -> bytes | None:
            earlier = replies.earlier(connection, repeatable)
            if earlier is not None:
                return earlier
            reply = files.change_upload(connection, upload_id, change, self.now())
            if reply is not None:
                replies.remember(connection, repeatable, reply)
            return reply

        return await self._database.write(work)

    async def identity(self) -> str:
        return self._database.read(files.identity)

    async def list_parts(self, upload_id: str) -> Sequence[Part]:
        return self._database.read(lambda reader: files.parts(reader, upload_id))

    async def find_file(self, file_id: str) -> tuple[bytes, str] | None:
        return self._database.read(lambda reader: files.find(reader, file_id))

    async def list_expired(self, kind: Literal["file", "upload"], limit: int) -> Sequence[str]:
        return self._database.read(lambda reader: files.expired(reader, kind, self.now(), limit))

    async def named_digests(self, digests: Sequence[str]) -> set[str]:
        return self._database.read(lambda reader: files.named_digests(reader, digests))

    # Files of vector stores

    async def change_store_file(
        self, store_id: str, file_id: str, change: Callable[[StoreFileRow], StoreFileChange | None]
    ) -> ChangedStoreFile | None:
        which = {"owner": store_id, "id": file_id, "limit": 1}
        found = await self._database.write(
            lambda connection: vector_stores.change(connection, "file", change, self.now(), **which)
        )
        return found[0] if found else None

    async def change_store_files(
        self,
        which: StoreFiles,
        change: Callable[[StoreFileRow], StoreFileChange | None],
        *,
        limit: int,
        of: str | None = None,
        durable: bool = True,
    ) -> Sequence[ChangedStoreFile]:
        if which == "unclaimed" and not self._database.read(
            lambda reader: vector_stores.is_unclaimed(reader, self.now())
        ):
            return []  # looked for all the time, and mostly not there: the writer need not be woken
        return await self._database.write(
            lambda connection: vector_stores.change(connection, which, change, self.now(), id=of, limit=limit),
            durable=durable,
        )

    async def count_store_files(
        self, by: Literal["store", "batch"], identifiers: Sequence[str]
    ) -> Mapping[str, Sequence[Tally]]:
        return self._database.read(lambda reader: vector_stores.count(reader, by, identifiers))

    async def renew_store_files(self, worker: str, held: Mapping[int, int], seconds: float) -> set[int]:
        return await self._database.write(
            lambda connection: vector_stores.renew(connection, worker, held, self.now() + seconds), durable=False
        )

    # Runs

    async def change_run(
        self,
        run_id: str,
        change: Callable[[RunRow], RunChange | None],
        *,
        thread_id: str | None = None,
        durable: bool = True,
        repeatable: Repeatable | None = None,
        known: RunRow | None = None,  # to read it takes microseconds
    ) -> Changed | None:
        def work(connection: sqlite3.Connection) -> Changed | None:
            row = runs.find(connection, run_id, self.now())
            if row is None or (thread_id is not None and row.thread_id != thread_id):
                return None
            earlier = replies.earlier(connection, repeatable)
            if earlier is not None:
                return Changed(row=row, change=None, reply=earlier)
            changed = runs.change(connection, row, change)
            if changed.change is not None:
                replies.remember(connection, repeatable, changed.reply)
            return changed

        changed = await self._database.write(work, durable=durable)
        hint = rows.hint_of(changed) if changed is not None else None
        if hint is not None:
            self._hint(hint, run_id)
        return changed

    async def claim_runs(self, limit: int, change: Callable[[RunRow], RunChange | None]) -> Sequence[Changed]:
        if not self._database.read(lambda reader: runs.is_claimable(reader, self.now())):
            return []  # looked for all the time, and mostly not there: the writer need not be woken
        return await self._database.write(
            lambda connection: runs.claim(connection, change, self.now(), limit), durable=False
        )

    async def renew_leases(self, worker: str, held: Mapping[str, int], seconds: float) -> Mapping[str, str]:
        return await self._database.write(
            lambda connection: runs.renew(connection, worker, held, self.now() + seconds), durable=False
        )

    async def list_due_runs(self, limit: int) -> Sequence[str]:
        return self._database.read(lambda reader: runs.due(reader, self.now(), limit))

    async def find_active_run(self, thread_id: str) -> str | None:
        return self._database.read(lambda reader: runs.active(reader, thread_id))

    async def watch(self, hint: Hint) -> None:
        self._hint = hint

    # Chunks

    async def indexed_files(self, store_id: str) -> Sequence[IndexedFile]:
        return await self._database.search(lambda connection: chunks.indexed_files(connection, store_id))

    async def load_vectors(self, indexed: Sequence[int]) -> Sequence[FileVectors]:
        return await self._database.search(lambda connection: chunks.load_vectors(connection, indexed))

    async def match_words(
        self, store_id: str, text: str, *, limit: int, indexed: Sequence[int] | None = None
    ) -> Sequence[tuple[int, float]]:
        return await self._database.search(
            lambda connection: chunks.match_words(connection, store_id, text, limit, indexed)
        )

    async def nearest(
        self, vector: Sequence[float], *, limit: int, indexed: Sequence[int]
    ) -> Sequence[tuple[int, float]]:
        return []  # there is no index of vectors here

    async def cosines(
        self, vector: Sequence[float], numbers: Sequence[int], *, indexed: Sequence[int]
    ) -> Sequence[tuple[int, float]]:
        return []

    async def passages(self, numbers: Sequence[int]) -> Sequence[Passage]:
        return await self._database.search(lambda connection: chunks.passages(connection, numbers))

    async def indexed_text(self, store_id: str, file_id: str) -> str | None:
        return await self._database.search(lambda connection: chunks.indexed_text(connection, store_id, file_id))

    async def sweep_chunks(self, limit: int) -> int:
        return await self._database.write(lambda connection: chunks.sweep(connection, limit), durable=False)

    async def place_chunks(self, limit: int) -> int:
        return 0

    async def close(self) -> None:
        await self._database.close()


def _add(connection: sqlite3.Connection, each: NewObject, now: float) -> None:
    if each.run is not None:
        runs.insert(connection, each, now)
    elif each.file is not None:
        files.insert(connection, each, now)
    elif each.store_file is not None:
        vector_stores.add(connection, each)
    else:
        objects.insert(connection, each)
