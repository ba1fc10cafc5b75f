"""PostgreSQL: opening, the pool, migrations, transactions, the clock, listening, error translation.

Read ``sqlite.py`` first: this is the same store where several processes, on several machines, share one database.
What differs is that others write at the same time. Who comes first is settled by locks on rows, taken in one order:
thread, run, message or step. What the database breaks off for another's sake (a deadlock, two writers of one key) is
begun again here, and so is what lost its connection, unless that was while it was committed: then nobody here can know
whether it was. Every time is the database's: workers' clocks may be wrong.

LISTEN needs a connection of its own that nothing in between hands to others. Through a pooler that does, hints are
lost and everything else works, if it keeps prepared statements: hints are never relied on.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from holdover import telemetry
from holdover.errors import ConfigurationError, InternalServerError

from . import paging, postgres_chunks, postgres_files, postgres_vector_stores
from .postgres_query import Connection, Query
from .postgres_query import fetch_rows as _rows
from .postgres_query import fetch_value as _value
from .postgres_query import storable as _storable
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

try:
    import asyncpg  # type: ignore[import-untyped]
except ModuleNotFoundError as missing:
    raise ConfigurationError("PostgreSQL needs a driver: pip install 'holdover[postgres]'.") from missing

T = TypeVar("T")
Work = Callable[[Connection], Awaitable[T]]

TABLES: dict[Kind, str] = {
    "assistant": "assistants",
    "vector_store": "vector_stores",
    "thread": "threads",
    "message": "messages",
    "run": "runs",
    "step": "steps",
    **postgres_files.TABLES,
    **postgres_vector_stores.TABLES,
}

#: The first half of every advisory lock's number ("HoLd"); the second is 0 for migrations, or that of a kind.
APPLICATION_ID = 0x486F4C64
CHANNEL = "holdover"

#: Connections of one process, beside the one that listens.
MAX_CONNECTIONS = 10
CONNECT_TIMEOUT_S = 10.0
#: A connection that gives no answer for so long is given up: the other machine may be gone without a word.
COMMAND_TIMEOUT_S = 20.0
#: A transaction that waits for its process as long as this is broken off by the database: that process may be frozen or
#: cut off, and has rows that others need. Shorter than their patience.
IDLE_TIMEOUT_S = 10.0
#: How often is begun again what the database broke off, or what lost its connection: the next may be as stale.
MAX_RETRIES = 5
#: Between attempts to listen again: doubled each time, up to the second.
LISTEN_AGAIN_S = (0.1, 10.0)
#: A connection on which nothing is heard is asked, as often as this, whether it still is one.
LISTEN_CHECK_S = 15.0

#: What trouble with the database looks like: the server's errors, the driver's, and the network's.
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
#: Of these, what says that the connection is of no more use.
LOSSES = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # as which the driver shows a connection that was ended while nobody used it
    OSError,  # and with it TimeoutError
)
#: Constraints whose violation says that another writer was first: on a second look, what it wrote is there to be seen.
RACES = ("one_active_run", "one_reply")

# The isolation is said, since a database may have another default, and reads must see what locks waited for.
# What is set, is set for the transaction only: a pooler may give the next one to another connection.
BEGIN = (
    f"BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = {IDLE_TIMEOUT_S * 1000:.0f}"
)
BEGIN_UNFLUSHED = f"{BEGIN}; SET LOCAL synchronous_commit = off"

_statements = load_statements("postgres", "objects.sql") | load_statements("postgres", "runs.sql")


def _query(name: str, kind: Kind = "thread", **cases: bool) -> Query:
    text = for_case(_statements[name], owned=kind in OWNERS, **cases)
    number = KINDS.index(kind) + 1
    return Query(
        text.format(table=TABLES[kind], kind=kind, place=place(kind), application=APPLICATION_ID, number=number)
    )


def _for_each_kind(name: str, **cases: bool) -> dict[Kind, Query]:
    return {kind: _query(name, kind, **cases) for kind in KINDS}


GET = _for_each_kind("get", locked=False)
GET_LOCKED = _for_each_kind("get", locked=True)
GET_MANY = _for_each_kind("get_many")
EXISTS = _for_each_kind("exists")
EXIST = _for_each_kind("exist")
CURSOR = _for_each_kind("cursor")


@cache
def _scan(kind: Kind, upwards: bool, of: frozenset[str]) -> Query:
    """Return the statement for a list in this direction, of what has these columns as asked for."""
    asked = {column: column in of for column in ("run", "purpose", "batch", "status")}
    return _query("scan_upwards" if upwards else "scan_downwards", kind, **asked)


#: Threads that have certain labels, by direction.
SCAN_LABELLED = {True: _query("scan_labelled_upwards"), False: _query("scan_labelled_downwards")}
SETTLE = {kind: _query("settle", kind) for kind in KINDS if kind not in OWNERS}
INSERT = {kind: _query("insert_owned" if kind in OWNERS else "insert", kind) for kind in KINDS}
REPLACE = _for_each_kind("replace")
DELETE = _for_each_kind("delete")
REMOVE = _for_each_kind("remove")
LABEL = _query("label")
UNLABEL = _query("unlabel")
REPLY = _query("reply")
FORGET_REPLIES = _query("forget_replies")
REMEMBER_REPLY = _query("remember_reply")
NOW = _query("now")
INSERT_RUN = _query("insert_run")
RUN = _query("run")
WRITE_RUN = _query("write_run")
NOTIFY = _query("notify")
ACTIVE_RUN = _query("active_run")
LOCK_THREAD = _query("lock_thread")
LOCK_ACTIVE_RUN = _query("lock_active_run")
IS_CLAIMABLE = _query("is_claimable")
CLAIM = _query("claim")
DUE = _query("due")
RENEW = _query("renew")


class PostgresStore:
    """The store in a PostgreSQL database, for any number of processes. See `holdover.store.protocol.Store`."""

    def __init__(self, url: str, pool: Any, clock: _Clock) -> None:
        self.now = clock.now
        self._url = url
        self._pool = pool
        self._clock = clock
        self._under_way: set[asyncio.Task[Any]] = set()
        self._listening: asyncio.Task[None] | None = None
        self._is_closed = False

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
        _check_url(url)
        clock = _Clock()
        with _explained():
            # Not one of the pool: to migrate takes as long as it takes, and so does waiting for who does it first.
            connection = await _connect(url)
            try:
                await _migrate(connection)
                await clock.ask(connection)
            finally:
                await connection.close()
            pool = await asyncpg.create_pool(
                url,
                min_size=0,  # one that the pool keeps up by itself is one whose loss nobody here is told of
                max_size=MAX_CONNECTIONS,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=command_timeout_s,
                reset=_leave_as_it_is,
                server_settings=_server_settings(url),
            )
        return cls(url, pool, clock)

    # Reads

    async def get(self, kind: Kind, identifier: str, *, owner: str | None = None) -> bytes | None:
        async def work(connection: Connection) -> bytes | None:
            document: bytes | None = await _value(connection, GET[kind], id=identifier, owner=owner)
            return document

        return await self._read(work)

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
        async def work(connection: Connection) -> Page:
            scan = paging.plan(
                ascending=ascending,
                after=await _place(connection, kind, after, owner),
                before=await _place(connection, kind, before, owner),
            )
            asked = {"run": run_id, "purpose": purpose, "batch": batch, "status": status}
            given: dict[str, Any] = {
                "low": scan.low,
                "high": scan.high,
                "limit": limit + 1,
                "owner": owner,
                "run_id": run_id,
                **asked,
            }
            statement = _scan(kind, scan.upwards, frozenset(name for name, value in asked.items() if value is not None))
            if labels:
                (key, value), *others = labels.items()
                given |= {"key": key, "value": value} | _pairs(dict(others))
                statement = SCAN_LABELLED[scan.upwards]
            if scan.upwards and kind in SETTLE:
                async with _transaction(connection):
                    await _value(connection, SETTLE[kind])
                    rows = await _rows(connection, statement, **given)
            else:
                rows = await _rows(connection, statement, **given)
            has_more = len(rows) > limit
            del rows[limit:]
            if scan.reverse:
                rows.reverse()
            return Page(ids=[row[0] for row in rows], documents=[row[1] for row in rows], has_more=has_more)

        return await self._read(work)

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
        async def work(connection: Connection) -> bytes:
            if repeatable is not None:
                earlier = await _earlier_reply(connection, repeatable)
                if earlier is not None:
                    return earlier
            if idle_thread is not None:
                # Before it is required, which locks it less: who deletes it would wait for that, and this for them.
                await _value(connection, LOCK_THREAD, id=idle_thread)
            await _require(connection, requires)
            if idle_thread is not None:
                active = await _value(connection, ACTIVE_RUN, owner=idle_thread)
                if active is not None:
                    raise ThreadBusy(active)
            added = [*objects]
            if idle_thread is not None and on_thread is not None:
                change = on_thread(await _value(connection, GET["thread"], id=idle_thread, owner=None))
                await _require(connection, change.requires)
                if change.modification is not None:
                    await _modify(connection, "thread", idle_thread, change.modification)
                added = [*change.added, *objects]
            await postgres_vector_stores.lock_stores(connection, added)
            for each in added:
                if each.store_file is None:
                    await _insert(connection, each)
            files = [each for each in added if each.store_file is not None]
            if files:
                await postgres_vector_stores.add(connection, files)
                await _notify(connection, "indexing", files[0].owner or "")
            if repeatable is not None:
                await _remember(connection, repeatable, reply)
            return reply

        return await self._write(work)

    async def modify(
        self, kind: Kind, identifier: str, change: Callable[[bytes], Modification], *, owner: str | None = None
    ) -> bytes | None:
        async def work(connection: Connection) -> bytes | None:
            document = await _value(connection, GET_LOCKED[kind], id=identifier, owner=owner)
            if document is None:
                return None
            modification = change(document)
            await _modify(connection, kind, identifier, modification)
            return modification.document

        return await self._write(work)

    async def delete(self, kind: Kind, identifier: str, *, owner: str | None = None) -> bool:
        async def work(connection: Connection) -> bool:
            if kind == "thread":
                # What the deletion takes with it is locked first, and while others may still refer to the thread:
                # the driver of its run does, with the run's row in its hands, and each would wait for the other.
                await _value(connection, LOCK_THREAD, id=identifier)
                active = await _value(connection, LOCK_ACTIVE_RUN, owner=identifier)
                if active is not None:
                    await _notify(connection, "deleted", active)
            return await _value(connection, DELETE[kind], id=identifier, owner=owner) is not None

        return await self._write(work)

    # Files

    async def delete_file(self, file_id: str, without: Callable[[Kind, bytes], bytes]) -> bool:
        async def work(connection: Connection) -> bool:
            await postgres_files.forget_file(connection, file_id, without, REPLACE)
            return await _value(connection, DELETE["file"], id=file_id, owner=None) is not None

        return await self._write(work)

    async def change_upload(
        self,
        upload_id: str,
        change: Callable[[UploadRow], UploadChange],
        *,
        repeatable: Repeatable | None = None,
    ) -> bytes | None:
        async def work(connection: Connection) -> bytes | None:
            if repeatable is not None:
                earlier = await _earlier_reply(connection, repeatable)
                if earlier is not None:
                    return earlier
            reply = await postgres_files.change_upload(connection, upload_id, change)
            if repeatable is not None and reply is not None:
                await _remember(connection, repeatable, reply)
            return reply

        return await self._write(work)

    async def identity(self) -> str:
        return await self._read(postgres_files.identity)

    async def list_parts(self, upload_id: str) -> Sequence[Part]:
        return await self._read(lambda connection: postgres_files.parts(connection, upload_id))

    async def find_file(self, file_id: str) -> tuple[bytes, str] | None:
        return await self._read(lambda connection: postgres_files.find(connection, file_id))

    async def list_expired(self, kind: Literal["file", "upload"], limit: int) -> Sequence[str]:
        return await self._read(lambda connection: postgres_files.expired(connection, kind, limit))

    async def named_digests(self, digests: Sequence[str]) -> set[str]:
        return await self._read(lambda connection: postgres_files.named_digests(connection, digests))

    # Files of vector stores

    async def get_many(self, kind: Kind, identifiers: Sequence[str]) -> Mapping[str, bytes]:
        asked = [_storable(each) for each in identifiers]
        return dict(await self._read(lambda connection: _rows(connection, GET_MANY[kind], ids=asked)))

    async def change_store_file(
        self, store_id: str, file_id: str, change: Callable[[StoreFileRow], StoreFileChange | None]
    ) -> ChangedStoreFile | None:
        which = {"owner": store_id, "id": file_id, "limit": 1}
        found = await self._write(lambda connection: postgres_vector_stores.change(connection, "file", change, **which))
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
        if which == "unclaimed" and not await self._read(postgres_vector_stores.is_unclaimed):
            return []  # looked for all the time, and mostly not there: no transaction need be begun
        return await self._write(
            lambda connection: postgres_vector_stores.change(connection, which, change, id=of, limit=limit),
            durable=durable,
        )

    async def count_store_files(
        self, by: Literal["store", "batch"], identifiers: Sequence[str]
    ) -> Mapping[str, Sequence[Tally]]:
        return await self._read(lambda connection: postgres_vector_stores.count(connection, by, identifiers))

    async def renew_store_files(self, worker: str, held: Mapping[int, int], seconds: float) -> set[int]:
        return await self._write(
            lambda connection: postgres_vector_stores.renew(connection, worker, held, seconds), durable=False
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
    ) -> Changed | None:
        async def work(connection: Connection) -> Changed | None:
            rows = await self._run_rows(connection, RUN, id=run_id)
            if not rows or (thread_id is not None and rows[0].thread_id != thread_id):
                return None
            if repeatable is not None:
                earlier = await _earlier_reply(connection, repeatable)
                if earlier is not None:
                    return Changed(row=rows[0], change=None, reply=earlier)
            changed = await _change(connection, rows[0], change)
            if repeatable is not None and changed.change is not None:
                await _remember(connection, repeatable, changed.reply)
            return changed

        return await self._write(work, durable=durable)

    async def claim_runs(self, limit: int, change: Callable[[RunRow], RunChange | None]) -> Sequence[Changed]:
        if await self._read(lambda connection: _value(connection, IS_CLAIMABLE)) is None:
            return []  # looked for all the time, and mostly not there: no transaction need be begun

        async def work(connection: Connection) -> list[Changed]:
            return [
                await _change(connection, row, change) for row in await self._run_rows(connection, CLAIM, limit=limit)
            ]

        return await self._write(work, durable=False)

    async def renew_leases(self, worker: str, held: Mapping[str, int], seconds: float) -> Mapping[str, str]:
        given = {"ids": list(held), "epochs": list(held.values()), "worker": worker, "seconds": seconds}

        async def work(connection: Connection) -> dict[str, str]:
            return dict(await _rows(connection, RENEW, **given))

        return await self._write(work, durable=False)

    async def list_due_runs(self, limit: int) -> Sequence[str]:
        return [row[0] for row in await self._read(lambda connection: _rows(connection, DUE, limit=limit))]

    async def find_active_run(self, thread_id: str) -> str | None:
        async def work(connection: Connection) -> str | None:
            found: str | None = await _value(connection, ACTIVE_RUN, owner=thread_id)
            return found

        return await self._read(work)

    # Chunks

    async def indexed_files(self, store_id: str) -> Sequence[IndexedFile]:
        return await self._read(lambda connection: postgres_chunks.indexed_files(connection, store_id))

    async def load_vectors(self, indexed: Sequence[int]) -> Sequence[FileVectors]:
        return await self._read(lambda connection: postgres_chunks.load_vectors(connection, indexed))

    async def match_words(
        self, store_id: str, text: str, *, limit: int, indexed: Sequence[int] | None = None
    ) -> Sequence[tuple[int, float]]:
        return await self._read(
            lambda connection: postgres_chunks.match_words(connection, store_id, text, limit, indexed)
        )

    async def passages(self, chunks: Sequence[int]) -> Sequence[Passage]:
        return await self._read(lambda connection: postgres_chunks.passages(connection, chunks))

    async def indexed_text(self, store_id: str, file_id: str) -> str | None:
        return await self._read(lambda connection: postgres_chunks.indexed_text(connection, store_id, file_id))

    async def sweep_chunks(self, limit: int) -> int:
        return await self._write(lambda connection: postgres_chunks.sweep(connection, limit), durable=False)

    async def watch(self, hint: Hint) -> None:
        """Listen from now on, on a connection that is made anew whenever it is lost. See `Store.watch`."""
        begun = asyncio.Event()
        self._listening = asyncio.create_task(_listen(self._url, hint, self._clock, begun), name="holdover-listen")
        await begun.wait()

    async def close(self) -> None:
        self._is_closed = True
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        if self._under_way:
            await asyncio.wait(self._under_way)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._pool.close()
        except FAILURES:
            self._pool.terminate()

    # Transactions

    async def _write(self, work: Work[T], *, durable: bool = True) -> T:
        """Carry out ``work`` in a transaction; return when it is durable, or at least written where it need not be."""
        self._check_open()
        # A caller that goes away takes nothing with it: its write is carried out all the same.
        task = asyncio.create_task(self._carry_out(work, durable))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _carry_out(self, work: Work[T], durable: bool) -> T:
        async def transaction(connection: Connection) -> T:
            async with _transaction(connection, BEGIN if durable else BEGIN_UNFLUSHED):
                return await work(connection)

        began = time.perf_counter()
        result = await self._attempt(transaction)
        if durable:
            telemetry.emit("store.commit", jobs=1, seconds=time.perf_counter() - began)
        return result

    async def _read(self, work: Work[T]) -> T:
        self._check_open()
        return await self._attempt(work)

    async def _attempt(self, work: Work[T]) -> T:
        """Carry out ``work``; do so again while it is another's doing that it failed and it is certain that it did."""
        for retries_left in range(MAX_RETRIES, -1, -1):
            try:
                async with self._lent() as connection:
                    return await work(connection)
            except FAILURES as error:
                if not retries_left or not _is_passing(error):
                    raise _translate(error) from error
        raise AssertionError("unreachable")

    @contextlib.asynccontextmanager
    async def _lent(self) -> AsyncIterator[Connection]:
        """Lend a connection. One that was lost is not used again, nor one that gave no answer in time: it may never."""
        async with self._pool.acquire() as connection:
            try:
                yield connection
            except LOSSES:
                _give_up(connection)
                raise

    def _check_open(self) -> None:
        if self._is_closed:
            raise InternalServerError("The store is closed.")

    async def _run_rows(self, connection: Connection, query: Query, **given: Any) -> list[RunRow]:
        asked = time.monotonic()
        rows = [RunRow(**row) for row in await _rows(connection, query, **given)]
        if rows:
            self._clock.learn(rows[-1].now, asked)
        return rows


class _Clock:
    """The database's clock, told by this machine's: how far it is ahead is learnt from every answer that has a time."""

    def __init__(self) -> None:
        self._ahead_s = -math.inf

    def now(self) -> float:
        return time.monotonic() + self._ahead_s

    def learn(self, now: float, asked: float) -> None:
        """Take in that the database's clock showed ``now`` somewhen between ``asked`` and this moment."""
        self._ahead_s = min(max(self._ahead_s, now - time.monotonic()), now - asked)

    async def ask(self, connection: Connection) -> None:
        asked = time.monotonic()
        self.learn(await _value(connection, NOW), asked)


# ------------------------------------------------------------------------------------- in a transaction


@contextlib.asynccontextmanager
async def _transaction(connection: Connection, begin: str = BEGIN) -> AsyncIterator[None]:
    try:
        await connection.execute(begin)
        yield
    except LOSSES:
        raise  # the connection is given up, and its transaction with it
    except BaseException:
        with contextlib.suppress(*FAILURES):
            await connection.execute("ROLLBACK")
        raise
    try:
        await connection.execute("COMMIT")
    except FAILURES as error:
        # Perhaps it was carried out. So it is not tried again here: whoever asked can look.
        _give_up(connection)
        raise _translate(error) from error


def _give_up(connection: Connection) -> None:
    with contextlib.suppress(asyncpg.InterfaceError):  # the pool has taken it back: it was seen to be closed
        connection.terminate()


async def _place(connection: Connection, kind: Kind, cursor: str | None, owner: str | None) -> int | None:
    if cursor is None:
        return None
    place: int | None = await _value(connection, CURSOR[kind], id=cursor, owner=owner)
    if place is None:
        raise UnknownCursor(cursor)
    return place


async def _require(connection: Connection, references: Sequence[Reference]) -> None:
    # Files come in thousands: they are asked for together, and before the rest.
    file_ids = [_storable(each.id) for each in references if each.kind == "file"]
    found = {row[0] for row in await _rows(connection, EXIST["file"], ids=file_ids)} if file_ids else set()
    for each in references:
        is_there = each.id in found if each.kind == "file" else await _exists(connection, each)
        if not is_there:
            raise MissingReference(each)


async def _exists(connection: Connection, reference: Reference) -> bool:
    return await _value(connection, EXISTS[reference.kind], id=reference.id) is not None


async def _modify(connection: Connection, kind: Kind, identifier: str, modification: Modification) -> None:
    await _require(connection, modification.requires)
    await _value(connection, REPLACE[kind], id=identifier, document=modification.document)
    if modification.labels is not None:
        await _value(connection, UNLABEL, id=identifier)
        await _value(connection, LABEL, id=identifier, **_pairs(modification.labels))
    if modification.file_ids is not None:
        await postgres_files.name_files(connection, kind, identifier, modification.file_ids)


async def _insert(connection: Connection, each: NewObject) -> None:
    given = {name: getattr(each, name) for name in ("id", "owner", "run_id", "created_at", "document", "extra")}
    if each.run is not None:
        lease = each.run.lease
        given |= {"status": each.run.status, "expires_at": each.run.expires_at}
        given |= {"worker": lease.worker, "lease_s": lease.seconds} if lease else {"worker": None, "lease_s": None}
        await _value(connection, INSERT_RUN, **given)
        if lease is None:
            await _notify(connection, "queued", each.id)
        return
    if each.file is not None:
        await postgres_files.insert(connection, each)
        return
    await _value(connection, INSERT[each.kind], **given)
    if each.labels:
        await _value(connection, LABEL, id=each.id, **_pairs(each.labels))
    if each.file_ids:
        await postgres_files.name_files(connection, each.kind, each.id, each.file_ids)


async def _change(connection: Connection, row: RunRow, make: Callable[[RunRow], RunChange | None]) -> Changed:
    change = make(row)
    if change is None:
        return Changed(row=row, change=None, reply=row.document)
    epoch, worker, until = row.epoch, row.worker, row.lease_until
    if isinstance(change.lease, Lease):
        epoch, worker, until = epoch + 1, change.lease.worker, row.now + change.lease.seconds
    elif change.lease is None:
        until = None
    await _value(
        connection,
        WRITE_RUN,
        id=row.id,
        status=change.status,
        document=change.document,
        extra=row.extra if change.extra is None else change.extra,
        epoch=epoch,
        attempts=row.attempts if change.attempts is None else change.attempts,
        worker=worker,
        lease_until=until,
        expires_at=change.expires_at,
    )
    for reference in change.removed:
        await _value(connection, REMOVE[reference.kind], id=reference.id)
    for kind, identifier, document in change.replaced:
        await _value(connection, REPLACE[kind], id=identifier, document=document)
    for each in change.added:
        await _insert(connection, each)
    if (change.status == "queued" and change.lease is None) or (
        change.status == "cancelling" and row.status != "cancelling"
    ):
        await _notify(connection, change.status, row.id)
    return Changed(row=row, change=change, reply=change.document if change.reply is None else change.reply)


async def _notify(connection: Connection, status: str, run_id: str) -> None:
    await _value(connection, NOTIFY, told=f"{status} {run_id}")


async def _remember(connection: Connection, request: Repeatable, reply: bytes) -> None:
    await _value(connection, FORGET_REPLIES, oldest=request.now - REPLY_LIFETIME_S)
    await _value(connection, REMEMBER_REPLY, **msgspec.structs.asdict(request), reply=reply)


async def _earlier_reply(connection: Connection, request: Repeatable) -> bytes | None:
    oldest = request.now - REPLY_LIFETIME_S
    rows = await _rows(connection, REPLY, operation=request.operation, key=request.key, oldest=oldest)
    if not rows:
        return None
    fingerprint, reply = rows[0]
    if fingerprint != request.fingerprint:
        raise reused_key(request.key)
    earlier: bytes = reply
    return earlier


def _pairs(labels: Mapping[str, str]) -> dict[str, list[str]]:
    return {"keys": [_storable(key) for key in labels], "values": [_storable(value) for value in labels.values()]}


# -------------------------------------------------------------------------------------------- opening


async def _connect(url: str) -> Any:
    return await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S, server_settings=_server_settings(url))


def _server_settings(url: str) -> dict[str, str]:
    """Return what the server is told beside what the URL says, which goes first."""
    return {} if "application_name=" in url else {"application_name": "holdover"}


async def _leave_as_it_is(connection: Connection) -> None:
    """Ask nothing of a connection that comes back: no session has a state here, and a question costs a round trip."""


def inspect(url: str) -> str:
    """Look at a database without changing it, in use or not, and say in a sentence how it is.

    Raises:
        ConfigurationError: A service could not open it.
    """
    return asyncio.run(_inspect(url))


async def _inspect(url: str) -> str:
    _check_url(url)
    newest = load_migrations("postgres")[-1][0]
    with _explained():
        connection = await _connect(url)
        try:
            version = await _checked_version(connection, newest)
        finally:
            await connection.close()
    if version == 0:
        return "PostgreSQL answers. Holdover's tables are not there yet; the service makes them when it starts."
    if version < newest:
        return f"PostgreSQL answers. The tables are of an older release (schema {version}); the service updates them."
    return f"PostgreSQL can be used (schema {version})."


async def _checked_version(connection: Connection, newest: int) -> int:
    # The catalogue is read, and no short cut such as to_regclass taken: that may answer with what was true before the
    # lock was waited for.
    exists = "SELECT FROM pg_tables WHERE tablename = 'holdover_schema' AND schemaname = ANY (current_schemas(false))"
    if not await connection.fetchval(f"SELECT EXISTS ({exists})"):
        return 0
    version: int = await connection.fetchval("SELECT coalesce(max(version), 0) FROM holdover_schema")
    if version > newest:
        raise ConfigurationError(
            f"The PostgreSQL tables were written by a newer Holdover (schema {version}; this one knows {newest}). "
            "Upgrade this one, or name another database."
        )
    return version


async def _migrate(connection: Connection) -> None:
    """Bring the tables up to date in one transaction; of processes that start together, one does it and others wait."""
    migrations = load_migrations("postgres")
    newest = migrations[-1][0]
    if await _checked_version(connection, newest) == newest:
        return
    async with connection.transaction(isolation="read_committed"):
        await connection.execute(f"SELECT pg_advisory_xact_lock({APPLICATION_ID}, 0)")
        version = await _checked_version(connection, newest)
        if version == 0:
            await connection.execute("CREATE TABLE holdover_schema (version integer PRIMARY KEY, since timestamptz)")
        for number, script in migrations:
            if number > version:
                await connection.execute(script)
                await connection.execute("INSERT INTO holdover_schema VALUES ($1, now())", number)


# ------------------------------------------------------------------------------------------ listening


async def _listen(url: str, hint: Hint, clock: _Clock, begun: asyncio.Event) -> None:
    """Listen for ever. ``begun`` is set when it is listened for the first time, or when that was tried in vain."""
    first_s, last_s = LISTEN_AGAIN_S
    wait_s = first_s
    while True:
        try:
            async with _listening(url, hint) as (connection, ended):
                begun.set()
                wait_s = first_s
                while not ended.is_set():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LISTEN_CHECK_S):
                            await ended.wait()
                    async with asyncio.timeout(CONNECT_TIMEOUT_S):
                        await clock.ask(connection)
        except Exception as error:  # whatever it is: hints are not worth a process
            telemetry.emit("store.failure", error=error)
        begun.set()
        await asyncio.sleep(wait_s * random.uniform(0.5, 1))  # not all workers at the same moment
        wait_s = min(2 * wait_s, last_s)


@contextlib.asynccontextmanager
async def _listening(url: str, hint: Hint) -> AsyncIterator[tuple[Connection, asyncio.Event]]:
    """Lend a connection that listens, and what is set when it is lost."""

    def told(connection: Connection, pid: int, channel: str, payload: str) -> None:
        status, _, run_id = payload.partition(" ")
        hint(status, run_id)

    ended = asyncio.Event()
    connection = await _connect(url)
    try:
        connection.add_termination_listener(lambda _: ended.set())
        await connection.add_listener(CHANNEL, told)
        yield connection, ended
    finally:
        connection.terminate()  # and not closed: that would wait for an answer, perhaps in vain


# -------------------------------------------------------------------------------------------- errors


def _is_passing(error: Any) -> bool:
    """Return whether it may go well if it is begun again at once."""
    if isinstance(error, asyncpg.UniqueViolationError):
        return error.constraint_name in RACES
    if isinstance(error, TimeoutError):
        return False  # what was waited for in vain is not waited for twice
    return isinstance(error, (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, *LOSSES))


def _translate(error: BaseException) -> InternalServerError:
    telemetry.emit("store.failure", error=error)
    if isinstance(error, TimeoutError):
        return InternalServerError("The database did not answer in time.")
    return InternalServerError(f"The database refused: {error}.")


def _check_url(url: str) -> None:
    """Refuse a URL whose password was not encoded: what is taken for the host would be shown, and be a part of it."""
    try:
        parts = urlsplit(url)
        is_clear = "@" not in parts.path + parts.query + parts.fragment and parts.port != 0
    except ValueError:
        is_clear = False
    if not is_clear:
        raise ConfigurationError(
            "The database's address cannot be understood. Write postgresql://user:password@host:5432/database, with "
            "characters such as @ / : ? # % in the password written as %40 %2F %3A %3F %23 %25."
        )


#: What to do about errors that are met when a database is opened.
ADVICE: dict[type[Exception], str] = {
    asyncpg.InvalidAuthorizationSpecificationError: "Check the user and the password in its address.",
    asyncpg.InvalidCatalogNameError: "Make the database first, with createdb.",
    asyncpg.InsufficientPrivilegeError: "Let the user make tables: GRANT CREATE ON SCHEMA public TO the user.",
    asyncpg.DuplicateObjectError: "The tables are another program's: give Holdover a database of its own.",
    asyncpg.DuplicateTableError: "The tables are another program's: give Holdover a database of its own.",
    asyncpg.TooManyConnectionsError: f"A process needs up to {MAX_CONNECTIONS + 1}: raise max_connections.",
    asyncpg.ReadOnlySQLTransactionError: "It is a standby, perhaps: name the primary.",
    TimeoutError: "Is it running, and is its address right?",
    OSError: "Is it running, and is its address right?",
}


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn what keeps a database from being opened into advice."""
    try:
        yield
    except (asyncpg.InterfaceError, ValueError) as error:
        # The driver's view of the URL; not shown, since what it could not read may be part of the password.
        raise ConfigurationError(
            f"PostgreSQL cannot be used: an option in the database's address is wrong ({type(error).__name__})."
        ) from None
    except FAILURES as error:
        advice = next((text for kind, text in ADVICE.items() if isinstance(error, kind)), "")
        problem = str(error) or "it did not answer in time"
        raise ConfigurationError(f"PostgreSQL cannot be used: {problem}. {advice}".rstrip()) from error
