"""SQLite: opening, pragmas, the lock against a second process, migrations, the writer thread, error translation.

One thread writes. It takes whatever is waiting, carries it out in one transaction, and answers all of it after one
flush to disk: with ``synchronous=FULL`` an acknowledged write survives a loss of power, and group commit makes that
as fast as not flushing at all. Reads go through a connection of their own on the event loop: with a write-ahead log
they never wait for the writer, and one takes some microseconds, less than handing it to a thread. Each sees all that
was committed, so that whoever wrote reads what was written.

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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, TypeVar

from holdover import telemetry
from holdover.errors import ConfigurationError, InternalServerError

from ..protocol import Kind
from ..statements import load_migrations, load_statements
from ..tables import APPLICATION_ID

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

#: Writes that may share a transaction. More would only make the first of them wait longer.
MAX_BATCH = 256

#: Searches that read at the same time; others wait. They take milliseconds, too long for the event loop.
READERS = 2

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

VOID_LEASES = (
    load_statements("sqlite", "runs.sql")["void_leases"],
    load_statements("sqlite", "vector_stores.sql")["void_file_leases"],
)


class Database:
    """An open database: the connection that reads, the thread that writes, and those that search."""

    def __init__(
        self, path: str, closing: contextlib.ExitStack, reader: sqlite3.Connection, writer: sqlite3.Connection
    ) -> None:
        self.path = path
        self.recent = Recent()
        self._closing = closing
        self._reader = reader
        self._writer = _Writer(writer, asyncio.get_running_loop())
        self.write = self._writer.write
        self._searchers = _Searchers(lambda: _connect(path))

    @classmethod
    def open(cls, path: str) -> Database:
        """Open a database, making or migrating it as needed. See `SQLiteStore.open`."""
        with contextlib.ExitStack() as opened:
            if path == ":memory:":
                # Two connections would not see one database that is only in memory.
                folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="holdover-"))
                path = os.path.join(folder, "holdover.db")
            path = os.path.realpath(path)  # one file has one lock, by whatever name
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
            return cls(path, opened.pop_all(), reader, writing)
        raise AssertionError("unreachable")

    def read(self, work: Work[T]) -> T:
        """Carry out ``work``, which takes microseconds, here and now.

        No transaction is begun for it: every statement lets another thread take the interpreter, which takes longer
        than the statement.
        """
        with _Translated():
            self.recent.expect(self._writer.commits)
            return work(self._reader)

    async def search(self, work: Work[T]) -> T:
        """Carry out ``work``, which takes milliseconds, beside the loop."""
        with _Translated():
            return await self._searchers.run(work)

    async def close(self) -> None:
        """Finish what was begun and close all connections."""
        await self._writer.stop()
        self._searchers.close()
        self._closing.close()


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
    for statement in VOID_LEASES:
        connection.execute(statement)  # whoever held them is gone: one file serves one process


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


# -------------------------------------------------------------------------------------------- reading


class Recent:
    """Documents as they were last read, of one version of the database.

    They are dropped together: when anything was written, and when they become too many.
    """

    def __init__(self) -> None:
        self._documents: dict[tuple[Kind, str, str | None], bytes] = {}
        self._bytes = 0
        self._version = -1

    def expect(self, version: int) -> None:
        """Keep only documents of this version."""
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


class _Searchers:
    """Threads that search, each with a connection of its own; what was committed is what they see."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._mine = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="holdover-search")

    async def run(self, work: Work[T]) -> T:
        """Carry out ``work`` on one of the threads, in a transaction that reads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._carry_out, work)

    def close(self) -> None:
        """Wait for what was begun and close the connections."""
        self._threads.shutdown()
        for connection in self._opened:
            connection.close()

    def _carry_out(self, work: Work[T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = self._connect()
            self._opened.append(connection)
        connection.execute("BEGIN")
        try:
            return work(connection)
        finally:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")


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

    def __init__(self, connection: sqlite3.Connection, loop: asyncio.AbstractEventLoop) -> None:
        #: How often something was committed. It is counted before anybody is told, and nobody else writes.
        self.commits = 0
        self._connection = connection
        self._loop = loop
        self._waiting: SimpleQueue[_Job | None] = SimpleQueue()
        self._stopped = False
        self._flushes = True
        self._thread = threading.Thread(target=self._serve, name="holdover-writer", daemon=True)
        self._thread.start()

    async def write(self, work: Work[T], *, durable: bool = True) -> T:
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
                self.commits += 1
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
        if len(batch) == 1:  # what it raises undoes the transaction: no savepoint is needed, nor its two statements
            batch[0].result = batch[0].work(self._connection)
            execute("COMMIT")
            return
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
