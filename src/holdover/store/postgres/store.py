"""PostgreSQL: each method of the store as one reading or one transaction of the functions beside it.

Read ``sqlite/store.py`` first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

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
from . import chunks, files, nearest, objects, replies, runs, vector_stores
from .database import BEGIN, COMMAND_TIMEOUT_S, Database, Work, transaction
from .hints import listen, notify
from .query import Connection


class PostgresStore:
    """The store in a PostgreSQL database, for any number of processes. See `holdover.store.protocol.Store`."""

    def __init__(self, database: Database) -> None:
        self.now = database.clock.now
        self._database = database
        self._listening: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, url: str, *, command_timeout_s: float = COMMAND_TIMEOUT_S) -> PostgresStore:
        """Open the database, making or migrating its tables as needed.

        Args:
            url: ``postgresql://user:password@host:port/database``. What it says after ``?`` is given to the server.
            command_timeout_s: How long an answer of the database is waited for, in seconds.

        Raises:
            ConfigurationError: It cannot be reached or used, the tables are another program's, or they are newer than
                this program. No message has the password.
        """
        return cls(await Database.open(url, command_timeout_s=command_timeout_s))

    # Objects

    async def get(self, kind: Kind, identifier: str, *, owner: str | None = None) -> bytes | None:
        return await self._database.read(lambda connection: objects.get(connection, kind, identifier, owner))

    async def get_many(self, kind: Kind, identifiers: Sequence[str]) -> Mapping[str, bytes]:
        return await self._database.read(lambda connection: objects.get_many(connection, kind, identifiers))

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
        return await self._database.read(
            lambda connection: objects.page(
                connection,
                kind,
                limit=limit,
                ascending=ascending,
                after=after,
                before=before,
                owner=owner,
                labels=labels,
                asked={"run": run_id, "purpose": purpose, "batch": batch, "status": status},
            )
        )

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
        async def work(connection: Connection) -> bytes:
            earlier = await replies.earlier(connection, repeatable)
            if earlier is not None:
                return earlier
            required = requires
            # It is locked before it is required, which locks it less: who deletes it would wait for that, and this for
            # them. And what is locked is there.
            if idle_thread is not None and await runs.lock_thread(connection, idle_thread):
                required = [each for each in requires if each != Reference("thread", idle_thread)]
            await objects.require(connection, required)
            added = [*new]
            if idle_thread is not None:
                await runs.require_idle(connection, idle_thread)
                if on_thread is not None:
                    added = [*await objects.change_thread(connection, idle_thread, on_thread), *new]
            await vector_stores.lock_stores(connection, added)
            for each in added:
                if each.store_file is None:
                    await _add(connection, each)
            store_files = [each for each in added if each.store_file is not None]
            if store_files:
                await vector_stores.add(connection, store_files)
                await notify(connection, "indexing", store_files[0].owner or "")
            await replies.remember(connection, repeatable, reply)
            return reply

        return await self._database.write(work)

    async def modify(
        self, kind: Kind, identifier: str, change: Callable[[bytes], Modification], *, owner: str | None = None
    ) -> bytes | None:
        async def work(connection: Connection) -> bytes | None:
            document = await objects.get(connection, kind, identifier, owner, locked=True)
            if document is None:
                return None
            modification = change(document)
            await objects.modify(connection, kind, identifier, modification)
            return modification.document

        return await self._database.write(work)

    async def delete(self, kind: Kind, identifier: str, *, owner: str | None = None) -> bool:
        async def work(connection: Connection) -> bool:
            if kind == "thread":
                # What the deletion takes with it is locked first, and while others may still refer to the thread:
                # the driver of its run does, with the run's row in its hands, and each would wait for the other.
                await runs.lock_thread(connection, identifier)
                active = await runs.lock_active(connection, identifier)
                if active is not None:
                    await notify(connection, "deleted", active)
            return await objects.delete(connection, kind, identifier, owner)

        return await self._database.write(work)

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
        async def work(connection: Connection) -> bytes | None:
            earlier = await replies.earlier(connection, repeatable)
            if earlier is not None:
                return earlier
            reply = await files.change_upload(connection, upload_id, change)
            if reply is not None:
                await replies.remember(connection, repeatable, reply)
            return reply

        return await self._database.write(work)

    async def identity(self) -> str:
        return await self._database.read(files.identity)

    async def list_parts(self, upload_id: str) -> Sequence[Part]:
        return await self._database.read(lambda connection: files.parts(connection, upload_id))

    async def find_file(self, file_id: str) -> tuple[bytes, str] | None:
        return await self._database.read(lambda connection: files.find(connection, file_id))

    async def list_expired(self, kind: Literal["file", "upload"], limit: int) -> Sequence[str]:
        return await self._database.read(lambda connection: files.expired(connection, kind, limit))

    async def named_digests(self, digests: Sequence[str]) -> set[str]:
        return await self._database.read(lambda connection: files.named_digests(connection, digests))

    # Files of vector stores

    async def change_store_file(
        self, store_id: str, file_id: str, change: Callable[[StoreFileRow], StoreFileChange | None]
    ) -> ChangedStoreFile | None:
        which = {"owner": store_id, "id": file_id, "limit": 1}
        found = await self._database.write(lambda connection: vector_stores.change(connection, "file", change, **which))
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
        if which == "unclaimed" and not await self._database.read(vector_stores.is_unclaimed):
            return []  # looked for all the time, and mostly not there: no transaction need be begun
        return await self._database.write(
            lambda connection: vector_stores.change(connection, which, change, id=of, limit=limit),
            durable=durable,
        )

    async def count_store_files(
        self, by: Literal["store", "batch"], identifiers: Sequence[str]
    ) -> Mapping[str, Sequence[Tally]]:
        return await self._database.read(lambda connection: vector_stores.count(connection, by, identifiers))

    async def renew_store_files(self, worker: str, held: Mapping[int, int], seconds: float) -> set[int]:
        return await self._database.write(
            lambda connection: vector_stores.renew(connection, worker, held, seconds), durable=False
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
        known: RunRow | None = None,
    ) -> Changed | None:
        if known is not None and thread_id is None and repeatable is None:
            done = await self._change_known(known, change, durable=durable)
            if done is not None:
                return done

        async def work(connection: Connection) -> Changed | None:
            row = await runs.find(connection, run_id, self._database.clock)
            if row is None or (thread_id is not None and row.thread_id != thread_id):
                return None
            earlier = await replies.earlier(connection, repeatable)
            if earlier is not None:
                return Changed(row=row, change=None, reply=earlier)
            changed = await runs.change(connection, row, change)
            if changed.change is not None:
                await replies.remember(connection, repeatable, changed.reply)
            return changed

        return await self._database.write(work, durable=durable)

    async def _change_known(
        self, known: RunRow, change: Callable[[RunRow], RunChange | None], *, durable: bool
    ) -> Changed | None:
        """Change a run without reading it; ``None`` if it must be read: it is not so, or the change is not plain."""
        if not self._database.is_read_committed:
            return None
        row = msgspec.structs.replace(known, now=self._database.clock.now())
        try:
            made = change(row)
        except Exception:  # of a run that is perhaps another by now
            return None
        done = rows.changed(row, made)
        if made is None or not runs.is_written_at_once(done):
            return None

        async def work(connection: Connection) -> bool:
            return await runs.write_known(connection, row, made, durable=durable)

        return done if await self._database.write_at_once(work, durable=durable) else None

    async def claim_runs(self, limit: int, change: Callable[[RunRow], RunChange | None]) -> Sequence[Changed]:
        if not await self._database.read(runs.is_claimable):
            return []  # looked for all the time, and mostly not there: no transaction need be begun
        return await self._database.write(
            lambda connection: runs.claim(connection, change, self._database.clock, limit), durable=False
        )

    async def renew_leases(self, worker: str, held: Mapping[str, int], seconds: float) -> Mapping[str, str]:
        return await self._database.write(
            lambda connection: runs.renew(connection, worker, held, seconds), durable=False
        )

    async def list_due_runs(self, limit: int) -> Sequence[str]:
        return await self._database.read(lambda connection: runs.due(connection, limit))

    async def find_active_run(self, thread_id: str) -> str | None:
        return await self._database.read(lambda connection: runs.active(connection, thread_id))

    async def watch(self, hint: Hint) -> None:
        """Listen from now on, on a connection that is made anew whenever it is lost. See `Store.watch`."""
        begun = asyncio.Event()
        listening = listen(self._database.url, hint, self._database.clock, begun)
        self._listening = asyncio.create_task(listening, name="holdover-listen")
        await begun.wait()

    # Chunks

    async def indexed_files(self, store_id: str) -> Sequence[IndexedFile]:
        return await self._database.read(
            lambda connection: chunks.indexed_files(connection, store_id, self._database.near is not None)
        )

    async def load_vectors(self, indexed: Sequence[int]) -> Sequence[FileVectors]:
        return await self._database.read(lambda connection: chunks.load_vectors(connection, indexed))

    async def match_words(
        self, store_id: str, text: str, *, limit: int, indexed: Sequence[int] | None = None
    ) -> Sequence[tuple[int, float]]:
        return await self._database.read(
            lambda connection: chunks.match_words(connection, store_id, text, limit, indexed)
        )

    async def nearest(
        self, vector: Sequence[float], *, limit: int, indexed: Sequence[int]
    ) -> Sequence[tuple[int, float]]:
        return await self._read_near(lambda connection: nearest.nearest(connection, vector, limit, indexed))

    async def cosines(
        self, vector: Sequence[float], numbers: Sequence[int], *, indexed: Sequence[int]
    ) -> Sequence[tuple[int, float]]:
        return await self._read_near(lambda connection: nearest.cosines(connection, vector, numbers, indexed))

    async def _read_near(self, work: Work[Sequence[tuple[int, float]]]) -> Sequence[tuple[int, float]]:
        async def within(connection: Connection) -> Sequence[tuple[int, float]]:
            async with transaction(connection, f"{BEGIN}; {self._database.near}"):
                return await work(connection)

        return await self._database.read(within) if self._database.near is not None else []

    async def passages(self, numbers: Sequence[int]) -> Sequence[Passage]:
        return await self._database.read(lambda connection: chunks.passages(connection, numbers))

    async def indexed_text(self, store_id: str, file_id: str) -> str | None:
        return await self._database.read(lambda connection: chunks.indexed_text(connection, store_id, file_id))

    async def sweep_chunks(self, limit: int) -> int:
        return await self._database.write(lambda connection: chunks.sweep(connection, limit), durable=False)

    async def place_chunks(self, limit: int) -> int:
        async def work(connection: Connection) -> int:
            await connection.execute(self._database.near)
            return await nearest.place(connection, limit)

        return await self._database.write(work, durable=False) if self._database.near is not None else 0

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        await self._database.close()


async def _add(connection: Connection, each: NewObject) -> None:
    if each.run is not None:
        await runs.insert(connection, each)
    elif each.file is not None:
        await files.insert(connection, each)
    else:
        await objects.insert(connection, each)
