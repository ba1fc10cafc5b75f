"""SQLite: opening, pragmas, the lock against a second process, migrations, the writer thread, error translation.

One thread writes. It takes whatever is waiting, carries it out in one transaction, and answers all of it after one
flush to disk: with ``synchronous=FULL`` an acknowledged write survives a loss of power, and group commit makes that
as fast as not flushing at all. Reads go through a connection of their own on the event loop: with a write-ahead log
they never wait for the writer, and one takes some tens of microseconds, less than handing it to a thread. Those of one
turn of the loop share a transaction; it ends before a write is answered, so that whoever wrote reads what was written.

Why so: ``docs/explanation/storage.md``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, Literal, TypeVar

import msgspec

from holdover import telemetry
from holdover.errors import ConfigurationError, InternalServerError

from . import paging, sqlite_chunks, sqlite_files, sqlite_vector_stores
from .protocol import (
    KINDS,
    OWNERS,
    REPLY_LIFETIME_S,
    Changed,
    ChangedStoreFile,
    FileVectors,
    Hint,
    IndexedFile,
    Kind,
    Lease,
    MissingReference,
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
    ThreadBusy,
    ThreadChange,
    UnknownCursor,
    UploadChange,
    UploadRow,
    reused_key,
)
from .statements import for_case, load_migrations, load_statements, place

T = TypeVar("T")

TABLES: dict[Kind, str] = {
    "assistant": "assistants",
    "vector_store": "vector_stores",
    "thread": "threads",
    "message": "messages",
    "run": "runs",
    "step": "steps",
    **sqlite_files.TABLES,
    **sqlite_vector_stores.TABLES,
}

#: Marks a file as ours ("HoLd"), so that another program's database is not taken for one.
APPLICATION_ID = 0x486F4C64

#: Writes that may share a transaction. More would only make the first of them wait longer.
MAX_BATCH = 256

#: What every connection is told first.
PRAGMAS = (
    "busy_timeout = 5000",
    "foreign_keys = ON",
    "synchronous = FULL",  # an acknowledged write survives a loss of power
    "fullfsync = ON",  # so it does on macOS, where fsync alone does not say so
    "cache_size = -16384",  # 16 MiB
)

#: How much of what was read is kept at hand, until anything is written.
RECENT_LIMIT_BYTES = 16 * 1024 * 1024

_statements = load_statements("sqlite", "objects.sql") | load_statements("sqlite", "runs.sql")


def _for_each_kind(name: str, **cases: bool) -> dict[Kind, str]:
    return {
        kind: for_case(_statements[name], owned=kind in OWNERS, **cases).format(
            table=TABLES[kind], kind=kind, place=place(kind)
        )
        for kind in KINDS
    }


GET = _for_each_kind("get")
GET_MANY = _for_each_kind("get_many")
EXISTS = _for_each_kind("exists")
CURSOR = _for_each_kind("cursor")


@cache
def _scan(kind: Kind, upwards: bool, of: frozenset[str]) -> str:
    """Return the statement for a list in this direction, of what has these columns as asked for."""
    asked = {column: column in of for column in ("run", "purpose", "batch", "status")}
    text = for_case(_statements["scan_upwards" if upwards else "scan_downwards"], owned=kind in OWNERS, **asked)
    return text.format(table=TABLES[kind])


#: Threads that have certain labels, by direction.
SCAN_LABELLED = {True: _statements["scan_labelled_upwards"], False: _statements["scan_labelled_downwards"]}
INSERT = {
    kind: _statements["insert_owned" if kind in OWNERS else "insert"].replace("{table}", TABLES[kind]) for kind in KINDS
}
REPLACE = _for_each_kind("replace")
BURY = _for_each_kind("bury")
DELETE = _for_each_kind("delete")
REPLY = _statements["reply"]
FORGET_REPLIES = _statements["forget_replies"]
REMEMBER_REPLY = _statements["remember_reply"]
INSERT_RUN = _statements["insert_run"]
RUN = _statements["run"]
WRITE_RUN = _statements["write_run"]
ACTIVE_RUN = _statements["active_run"]
CLAIMABLE = _statements["claimable"]
DUE = _statements["due"]
RENEW = _statements["renew"]
VOID_LEASES = _statements["void_leases"]
REPLACE_DOCUMENT = _for_each_kind("replace_document")
REMOVE = _for_each_kind("remove")
LABEL = _statements["label"]
UNLABEL = _statements["unlabel"]


class SQLiteStore:
    """The store in one SQLite file, for one process. See `holdover.store.protocol.Store`."""

    def __init__(
        self,
        path: str,
        closing: contextlib.ExitStack,
        reader: sqlite3.Connection,
        writer: _Writer,
        clock: Callable[[], float],
    ) -> None:
        self.path = path
        self.now = clock
        self._hint: Hint = lambda status, run_id: None
        self._closing = closing
        self._reader = reader
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._recent = _Recent()
        self._searching = sqlite_chunks.Readers(lambda: _connect(path))

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
        with contextlib.ExitStack() as opened:
            if path == ":memory:":
                # Two connections would not see one database that is only in memory.
                folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="holdover-"))
                path = os.path.join(folder, "holdover.db")
            path = os.path.realpath(path)  # noqa: ASYNC240 - once; one file has one lock, by whatever name
            opened.enter_context(_lock_file(path))
            try:
                writing = _connect(path)
                on_failure = opened.enter_context(contextlib.ExitStack())
                on_failure.callback(writing.close)
                _prepare(writing, path)
                reader = _connect(path)
                opened.callback(reader.close)
                reader.execute("PRAGMA query_only = ON")
            except sqlite3.Error as error:
                raise ConfigurationError(f"The database {path} cannot be opened: {error}.") from error
            on_failure.pop_all()  # from here on the writing connection is its thread's, to close as well
            writer = _Writer(writing, asyncio.get_running_loop(), before_answering=lambda: _end_reading(reader))
            return cls(path, opened.pop_all(), reader, writer, clock)
        raise AssertionError("unreachable")

    # Reads

    async def get(self, kind: Kind, identifier: str, *, owner: str | None = None) -> bytes | None:
        with _Translated():
            self._begin_reading()
            document = self._recent.get((kind, identifier, owner))
            if document is None:
                row = self._reader.execute(GET[kind], {"id": identifier, "owner": owner}).fetchone()
                if row is not None:
                    document = row[0]
                    self._recent.put((kind, identifier, owner), document)
        return document

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
        with _Translated():
            self._begin_reading()
            scan = paging.plan(
                ascending=ascending,
                after=self._place(kind, after, owner),
                before=self._place(kind, before, owner),
            )
            given: dict[str, Any] = {"low": scan.low, "high": scan.high, "limit": limit + 1}
            asked = {"run": run_id, "purpose": purpose, "batch": batch, "status": status}
            given |= {"owner": owner, "run_id": run_id, **asked}
            statement = _scan(kind, scan.upwards, frozenset(name for name, value in asked.items() if value is not None))
            if labels:
                (key, value), *others = labels.items()
                given |= {"key": key, "value": value, "others": msgspec.json.encode(dict(others)).decode()}
                statement = SCAN_LABELLED[scan.upwards]
            rows = self._reader.execute(statement, given).fetchall()
        has_more = len(rows) > limit
        del rows[limit:]
        if scan.reverse:
            rows.reverse()
        return Page(ids=[row[0] for row in rows], documents=[row[1] for row in rows], has_more=has_more)

    def _begin_reading(self) -> None:
        """Let the reads of one turn of the loop share a transaction: beginning one costs more than a look-up."""
        if not self._reader.in_transaction:
            self._reader.execute("BEGIN")
            self._loop.call_soon(_end_reading, self._reader)
            self._recent.expect(self._reader.execute("PRAGMA data_version").fetchone()[0])

    def _place(self, kind: Kind, cursor: str | None, owner: str | None) -> int | None:
        if cursor is None:
            return None
        row = self._reader.execute(CURSOR[kind], {"id": cursor, "owner": owner}).fetchone()
        if row is None:
            raise UnknownCursor(cursor)
        place: int = row[0]
        return place

    # Writes

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
        def work(connection: sqlite3.Connection) -> bytes:
            if repeatable is not None:
                earlier = _earlier_reply(connection, repeatable)
                if earlier is not None:
                    return earlier
            _require(connection, requires)
            if idle_thread is not None:
                active = connection.execute(ACTIVE_RUN, (idle_thread,)).fetchone()
                if active is not None:
                    raise ThreadBusy(active[0])
            added = [*objects]
            if idle_thread is not None and on_thread is not None:
                (document,) = connection.execute(GET["thread"], {"id": idle_thread}).fetchone()
                change = on_thread(document)
                _require(connection, change.requires)
                if change.modification is not None:
                    _modify(connection, "thread", idle_thread, change.modification)
                added = [*change.added, *objects]
            for each in added:
                self._insert(connection, each)
            if repeatable is not None:
                _remember(connection, repeatable, reply)
            return reply

        answered = await self._writer.run(work)
        for each in objects:
            if each.run is not None and each.run.lease is None:
                self._hint("queued", each.id)
        if on_thread is not None or any(each.store_file is not None for each in objects):
            self._hint("indexing", "")
        return answered

    def _insert(self, connection: sqlite3.Connection, each: NewObject) -> None:
        if each.run is not None:
            run, lease = each.run, each.run.lease
            worker, until = (lease.worker, self.now() + lease.seconds) if lease else (None, None)
            columns = (each.id, each.owner, each.created_at, each.document, each.extra, run.status)
            connection.execute(INSERT_RUN, (*columns, worker, until, run.expires_at))
            return
        if each.file is not None:
            sqlite_files.insert(connection, each, self.now())
            return
        if each.store_file is not None:
            sqlite_vector_stores.add(connection, each)
            return
        connection.execute(
            INSERT[each.kind],
            {
                "id": each.id,
                "owner": each.owner,
                "run_id": each.run_id,
                "created_at": each.created_at,
                "document": each.document,
                "extra": each.extra,
            },
        )
        if each.labels:
            _label(connection, each.id, each.labels)
        if each.file_ids:
            sqlite_files.name_files(connection, each.kind, each.id, each.file_ids)

    async def modify(
        self, kind: Kind, identifier: str, change: Callable[[bytes], Modification], *, owner: str | None = None
    ) -> bytes | None:
        def work(connection: sqlite3.Connection) -> bytes | None:
            row = connection.execute(GET[kind], {"id": identifier, "owner": owner}).fetchone()
            if row is None:
                return None
            modification = change(row[0])
            _modify(connection, kind, identifier, modification)
            return modification.document

        return await self._writer.run(work)

    async def delete(self, kind: Kind, identifier: str, *, owner: str | None = None) -> bool:
        def work(connection: sqlite3.Connection) -> tuple[bool, str | None]:
            which = {"id": identifier, "owner": owner}
            active = connection.execute(ACTIVE_RUN, (identifier,)).fetchone() if kind == "thread" else None
            connection.execute(BURY[kind], which)
            was_there = connection.execute(DELETE[kind], which).rowcount > 0
            return was_there, active[0] if active else None

        was_there, ended = await self._writer.run(work)
        if ended is not None:
            self._hint("deleted", ended)
        return was_there

    # Files

    async def delete_file(self, file_id: str, without: Callable[[Kind, bytes], bytes]) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            def replace(kind: Kind, identifier: str, document: bytes) -> None:
                connection.execute(REPLACE[kind], {"id": identifier, "document": document})

            sqlite_files.forget_file(connection, file_id, without, replace)
            which = {"id": file_id, "owner": None}
            connection.execute(BURY["file"], which)
            return connection.execute(DELETE["file"], which).rowcount > 0

        return await self._writer.run(work)

    async def change_upload(
        self,
        upload_id: str,
        change: Callable[[UploadRow], UploadChange],
        *,
        repeatable: Repeatable | None = None,
    ) -> bytes | None:
        def work(connection: sqlite3.Connection) -> bytes | None:
            if repeatable is not None:
                earlier = _earlier_reply(connection, repeatable)
                if earlier is not None:
                    return earlier
            reply = sqlite_files.change_upload(connection, upload_id, change, self.now())
            if repeatable is not None and reply is not None:
                _remember(connection, repeatable, reply)
            return reply

        return await self._writer.run(work)

    async def identity(self) -> str:
        return self._read(sqlite_files.identity)

    async def list_parts(self, upload_id: str) -> Sequence[Part]:
        return self._read(lambda reader: sqlite_files.parts(reader, upload_id))

    async def find_file(self, file_id: str) -> tuple[bytes, str] | None:
        return self._read(lambda reader: sqlite_files.find(reader, file_id))

    async def list_expired(self, kind: Literal["file", "upload"], limit: int) -> Sequence[str]:
        return self._read(lambda reader: sqlite_files.expired(reader, kind, self.now(), limit))

    async def named_digests(self, digests: Sequence[str]) -> set[str]:
        return self._read(lambda reader: sqlite_files.named_digests(reader, digests))

    # Files of vector stores

    async def get_many(self, kind: Kind, identifiers: Sequence[str]) -> Mapping[str, bytes]:
        asked = {"ids": msgspec.json.encode(list(identifiers)).decode()}
        return self._read(lambda reader: dict(reader.execute(GET_MANY[kind], asked).fetchall()))

    async def change_store_file(
        self, store_id: str, file_id: str, change: Callable[[StoreFileRow], StoreFileChange | None]
    ) -> ChangedStoreFile | None:
        which = {"owner": store_id, "id": file_id, "limit": 1}
        found = await self._writer.run(
            lambda connection: sqlite_vector_stores.change(connection, "file", change, self.now(), **which)
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
        if which == "unclaimed" and not self._read(
            lambda reader: sqlite_vector_stores.is_unclaimed(reader, self.now())
        ):
            return []  # looked for all the time, and mostly not there: the writer need not be woken
        return await self._writer.run(
            lambda connection: sqlite_vector_stores.change(connection, which, change, self.now(), id=of, limit=limit),
            durable=durable,
        )

    async def count_store_files(
        self, by: Literal["store", "batch"], identifiers: Sequence[str]
    ) -> Mapping[str, Sequence[Tally]]:
        return self._read(lambda reader: sqlite_vector_stores.count(reader, by, identifiers))

    async def renew_store_files(self, worker: str, held: Mapping[int, int], seconds: float) -> set[int]:
        return await self._writer.run(
            lambda connection: sqlite_vector_stores.renew(connection, worker, held, self.now() + seconds), durable=False
        )

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with _Translated():
            self._begin_reading()
            return work(self._reader)

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
        def work(connection: sqlite3.Connection) -> Changed | None:
            row = _run_row(connection, run_id, self.now())
            if row is None or (thread_id is not None and row.thread_id != thread_id):
                return None
            if repeatable is not None:
                earlier = _earlier_reply(connection, repeatable)
                if earlier is not None:
                    return Changed(row=row, change=None, reply=earlier)
            changed = self._change(connection, row, change)
            if repeatable is not None and changed.change is not None:
                _remember(connection, repeatable, changed.reply)
            return changed

        changed = await self._writer.run(work, durable=durable)
        if changed is not None:
            self._tell(changed)
        return changed

    async def claim_runs(self, limit: int, change: Callable[[RunRow], RunChange | None]) -> Sequence[Changed]:
        now = self.now()
        with _Translated():
            self._begin_reading()
            if self._reader.execute(CLAIMABLE, {"now": now, "limit": 1}).fetchone() is None:
                return []  # looked for all the time, and mostly not there: the writer need not be woken

        def work(connection: sqlite3.Connection) -> list[Changed]:
            found = connection.execute(CLAIMABLE, {"now": self.now(), "limit": limit}).fetchall()
            rows = [_run_row(connection, run_id, self.now()) for (run_id,) in found]
            return [self._change(connection, row, change) for row in rows if row is not None]

        return await self._writer.run(work, durable=False)

    async def renew_leases(self, worker: str, held: Mapping[str, int], seconds: float) -> Mapping[str, str]:
        asked = {"held": msgspec.json.encode(held).decode(), "worker": worker}

        def work(connection: sqlite3.Connection) -> dict[str, str]:
            return dict(connection.execute(RENEW, {**asked, "until": self.now() + seconds}).fetchall())

        return await self._writer.run(work, durable=False)

    async def list_due_runs(self, limit: int) -> Sequence[str]:
        with _Translated():
            self._begin_reading()
            rows = self._reader.execute(DUE, {"now": self.now(), "limit": limit}).fetchall()
        return [row[0] for row in rows]

    async def find_active_run(self, thread_id: str) -> str | None:
        with _Translated():
            self._begin_reading()
            row = self._reader.execute(ACTIVE_RUN, (thread_id,)).fetchone()
        return row[0] if row else None

    async def watch(self, hint: Hint) -> None:
        self._hint = hint

    # Chunks

    async def indexed_files(self, store_id: str) -> Sequence[IndexedFile]:
        return await self._search(lambda connection: sqlite_chunks.indexed_files(connection, store_id))

    async def load_vectors(self, indexed: Sequence[int]) -> Sequence[FileVectors]:
        return await self._search(lambda connection: sqlite_chunks.load_vectors(connection, indexed))

    async def match_words(
        self, store_id: str, text: str, *, limit: int, indexed: Sequence[int] | None = None
    ) -> Sequence[tuple[int, float]]:
        return await self._search(
            lambda connection: sqlite_chunks.match_words(connection, store_id, text, limit, indexed)
        )

    async def passages(self, chunks: Sequence[int]) -> Sequence[Passage]:
        return await self._search(lambda connection: sqlite_chunks.passages(connection, chunks))

    async def indexed_text(self, store_id: str, file_id: str) -> str | None:
        return await self._search(lambda connection: sqlite_chunks.indexed_text(connection, store_id, file_id))

    async def sweep_chunks(self, limit: int) -> int:
        return await self._writer.run(lambda connection: sqlite_chunks.sweep(connection, limit), durable=False)

    async def _search(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with _Translated():
            return await self._searching.run(work)

    def _change(
        self, connection: sqlite3.Connection, row: RunRow, make: Callable[[RunRow], RunChange | None]
    ) -> Changed:
        change = make(row)
        if change is None:
            return Changed(row=row, change=None, reply=row.document)
        epoch, worker, until = row.epoch, row.worker, row.lease_until
        if isinstance(change.lease, Lease):
            epoch, worker, until = epoch + 1, change.lease.worker, row.now + change.lease.seconds
        elif change.lease is None:
            until = None
        extra = row.extra if change.extra is None else change.extra
        attempts = row.attempts if change.attempts is None else change.attempts
        columns = (change.status, change.document, extra, epoch, attempts, worker, until, change.expires_at)
        connection.execute(WRITE_RUN, (*columns, row.id))
        for reference in change.removed:
            connection.execute(REMOVE[reference.kind], (reference.id,))
        for kind, identifier, document in change.replaced:
            connection.execute(REPLACE_DOCUMENT[kind], (document, identifier))
        for each in change.added:
            self._insert(connection, each)
        return Changed(row=row, change=change, reply=change.document if change.reply is None else change.reply)

    def _tell(self, changed: Changed) -> None:
        change = changed.change
        if change is not None and (
            (change.status == "queued" and change.lease is None)
            or (change.status == "cancelling" and changed.row.status != "cancelling")
        ):
            self._hint(change.status, changed.row.id)

    async def close(self) -> None:
        await self._writer.stop()
        self._searching.close()
        self._closing.close()


class _Recent:
    """Documents as they were last read, of one version of the database.

    They are dropped together: when anything was written, and when they become too many.
    """

    def __init__(self) -> None:
        self._documents: dict[tuple[Kind, str, str | None], bytes] = {}
        self._bytes = 0
        self._version = -1

    def expect(self, version: int) -> None:
        """Keep only documents of this version; SQLite gives it, as of the transaction that asks."""
        if version != self._version:
            self._drop()
            self._version = version

    def get(self, key: tuple[Kind, str, str | None]) -> bytes | None:
        return self._documents.get(key)

    def put(self, key: tuple[Kind, str, str | None], document: bytes) -> None:
        if self._bytes + len(document) > RECENT_LIMIT_BYTES:
            self._drop()
        self._bytes += len(document)
        self._documents[key] = document

    def _drop(self) -> None:
        self._documents.clear()
        self._bytes = 0


def _end_reading(reader: sqlite3.Connection) -> None:
    """Let the next read see all that was committed. Rolling back cannot fail, and there is nothing to commit."""
    with contextlib.suppress(sqlite3.Error):  # it is closed
        if reader.in_transaction:
            reader.execute("ROLLBACK")


def _require(connection: sqlite3.Connection, references: Sequence[Reference]) -> None:
    for each in references:
        if connection.execute(EXISTS[each.kind], {"id": each.id}).fetchone() is None:
            raise MissingReference(each)


def _modify(connection: sqlite3.Connection, kind: Kind, identifier: str, modification: Modification) -> None:
    _require(connection, modification.requires)
    connection.execute(REPLACE[kind], {"id": identifier, "document": modification.document})
    if modification.labels is not None:
        connection.execute(UNLABEL, (identifier,))
        _label(connection, identifier, modification.labels)
    if modification.file_ids is not None:
        sqlite_files.name_files(connection, kind, identifier, modification.file_ids)


def _run_row(connection: sqlite3.Connection, run_id: str, now: float) -> RunRow | None:
    row = connection.execute(RUN, (run_id,)).fetchone()
    if row is None:
        return None
    identifier, thread_id, document, extra, status, epoch, attempts, worker, lease_until, expires_at = row
    return RunRow(
        id=identifier,
        thread_id=thread_id,
        document=document,
        extra=extra,
        status=status,
        epoch=epoch,
        attempts=attempts,
        worker=worker,
        lease_until=lease_until,
        expires_at=expires_at,
        now=now,
    )


def _label(connection: sqlite3.Connection, thread_id: str, labels: Mapping[str, str]) -> None:
    connection.executemany(LABEL, [(key, value, thread_id) for key, value in labels.items()])


def _remember(connection: sqlite3.Connection, request: Repeatable, reply: bytes) -> None:
    connection.execute(REMEMBER_REPLY, {**msgspec.structs.asdict(request), "reply": reply})


def _earlier_reply(connection: sqlite3.Connection, request: Repeatable) -> bytes | None:
    oldest = request.now - REPLY_LIFETIME_S
    connection.execute(FORGET_REPLIES, {"oldest": oldest})
    row = connection.execute(REPLY, {"operation": request.operation, "key": request.key, "oldest": oldest}).fetchone()
    if row is None:
        return None
    fingerprint, reply = row
    if fingerprint != request.fingerprint:
        raise reused_key(request.key)
    earlier: bytes = reply
    return earlier


# -------------------------------------------------------------------------------------------- opening


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        isolation_level=None,  # transactions are begun and ended here, in so many words
        check_same_thread=False,  # the writing connection is opened here and then used by its thread alone
    )
    try:
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def inspect(path: str) -> str:
    """Look at a database without changing it, in use or not, and say in a sentence how it is.

    Raises:
        ConfigurationError: A service could not open it.
    """
    if not os.path.exists(path):
        return f"{path} is not there yet; the service makes it when it starts."
    migrations = load_migrations("sqlite")
    try:
        with contextlib.closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)) as connection:
            version = _checked_version(connection, path, migrations[-1][0])
    except sqlite3.Error as error:
        raise ConfigurationError(f"The database {path} cannot be opened: {error}.") from error
    if version < migrations[-1][0]:
        return f"{path} is of an older release (schema {version}); the service brings it up to date when it starts."
    return f"{path} can be used (schema {version})."


def _checked_version(connection: sqlite3.Connection, path: str, newest: int) -> int:
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if tables and application_id != APPLICATION_ID:
        raise ConfigurationError(f"{path} is the database of another program; name another file.")
    if version > newest:
        raise ConfigurationError(
            f"{path} was written by a newer Holdover (schema {version}; this one knows {newest}). "
            "Upgrade this one, or name another file."
        )
    return version


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    migrations = load_migrations("sqlite")
    version = _checked_version(connection, path, migrations[-1][0])
    connection.execute("PRAGMA journal_mode = WAL")  # readers do not wait for the writer
    for number, script in migrations:
        if number > version:
            _migrate(connection, number, script)
    connection.execute(sqlite_vector_stores.VOID_LEASES)
    connection.execute(VOID_LEASES)  # whoever held them is gone: one file serves one process


def _migrate(connection: sqlite3.Connection, number: int, script: str) -> None:
    # One transaction: a file is either at the schema before or at the one after.
    connection.executescript(
        f"BEGIN IMMEDIATE;\n{script}\nPRAGMA application_id = {APPLICATION_ID};\n"
        f"PRAGMA user_version = {number};\nCOMMIT;"
    )


@contextlib.contextmanager
def _lock_file(path: str) -> Iterator[None]:
    """Keep other processes from the database; the system lets go when this one ends, however it ends."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        file = open(f"{path}.lock", "a+", encoding="ascii")  # noqa: SIM115 - closed below
    except OSError as error:
        raise ConfigurationError(f"The database {path} cannot be opened: {error.strerror}.") from error
    with file:
        if not _lock(file):
            file.seek(0)
            holder = file.read(32).strip() or "unknown"
            raise ConfigurationError(
                f"The database {path} is in use by another process (pid {holder}). Stop that one, or name another "
                "file: one SQLite file serves one process."
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[str]) -> bool:
        try:
            file.seek(64)  # beyond the process id, which others must be able to read
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(file: IO[str]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


# -------------------------------------------------------------------------------------------- writing


class _Job:
    """A write that waits for its turn, and where its outcome goes."""

    __slots__ = ("durable", "error", "future", "result", "work")

    def __init__(
        self, work: Callable[[sqlite3.Connection], Any], future: asyncio.Future[Any], *, durable: bool
    ) -> None:
        self.work = work
        self.durable = durable
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None


class _Writer:
    """The thread that writes: takes what is waiting, commits once, then answers."""

    def __init__(
        self, connection: sqlite3.Connection, loop: asyncio.AbstractEventLoop, *, before_answering: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._loop = loop
        self._before_answering = before_answering
        self._waiting: SimpleQueue[_Job | None] = SimpleQueue()
        self._stopped = False
        self._flushes = True
        self._thread = threading.Thread(target=self._serve, name="holdover-writer", daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = True) -> T:
        """Carry out ``work`` in a transaction; return when it is durable, or at least written where it need not be."""
        if self._stopped:
            raise InternalServerError("The store is closed.")
        # A caller that goes away cancels this future and nothing else: its write is carried out all the same.
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.put(_Job(work, future, durable=durable))
        return await future

    async def stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        try:
            while batch := self._next_batch():
                self._carry_out(batch)
                self._loop.call_soon_threadsafe(self._answer, batch)
        finally:
            self._stopped = True
            self._connection.close()
            self._fail_waiting()

    def _next_batch(self) -> list[_Job]:
        """Wait for a job and return it with all that came meanwhile; nothing when told to stop."""
        first = self._waiting.get()
        batch = [] if first is None else [first]
        while batch and len(batch) < MAX_BATCH and not self._waiting.empty():
            job = self._waiting.get()
            if job is None:
                self._waiting.put(None)
                break
            batch.append(job)
        return batch

    def _carry_out(self, batch: list[_Job]) -> None:
        began = time.perf_counter()
        try:
            self._commit(batch)
        except BaseException as error:
            self._roll_back()
            if len(batch) == 1:
                batch[0].error = error
            else:  # one of them may be at fault: it must not fail its neighbours
                for job in batch:
                    job.result = job.error = None
                    self._carry_out([job])
        else:
            telemetry.emit("store.commit", jobs=len(batch), seconds=time.perf_counter() - began)

    def _commit(self, batch: list[_Job]) -> None:
        execute = self._connection.execute
        flushes = any(job.durable for job in batch)
        if flushes is not self._flushes:
            # What is written without a flush outlives the process; the next commit that flushes takes it to disk, too.
            execute(f"PRAGMA synchronous = {'FULL' if flushes else 'NORMAL'}")
            self._flushes = flushes
        execute("BEGIN IMMEDIATE")
        for job in batch:
            execute("SAVEPOINT job")
            try:
                job.result = job.work(self._connection)
            except sqlite3.Error:
                raise
            except Exception as error:
                job.error = error
                execute("ROLLBACK TO job")
            execute("RELEASE job")
        execute("COMMIT")

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _fail_waiting(self) -> None:
        left = []
        while not self._waiting.empty():
            if (job := self._waiting.get()) is not None:
                job.error = InternalServerError("The store is closed.")
                left.append(job)
        if left and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._answer, left)

    def _answer(self, batch: list[_Job]) -> None:
        """Hand each job's outcome to whoever waits for it; runs on the event loop."""
        self._before_answering()
        for job in batch:
            if job.future.done():
                continue
            if job.error is None:
                job.future.set_result(job.result)
            else:
                job.future.set_exception(_translate(job.error))


# ------------------------------------------------------------------------------------------- errors


class _Translated:
    """Turns what the database raises into what the engine knows."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise _translate(error) from error


def _translate(error: BaseException) -> BaseException:
    if isinstance(error, sqlite3.Error):
        telemetry.emit("store.failure", error=error)
        translated = InternalServerError(f"The database refused: {error}.")
        translated.__cause__ = error
        return translated
    return error
