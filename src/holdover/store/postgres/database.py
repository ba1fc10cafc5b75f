"""PostgreSQL: opening, the pool, migrations, transactions, the clock, error translation.

Read ``sqlite`` first: this is the same store where several processes, on several machines, share one database.
What differs is that others write at the same time. Who comes first is settled by locks on rows, taken in one order:
thread, run, message or step. What the database breaks off for another's sake (a deadlock, two writers of one key) is
begun again here, and so is what lost its connection, unless that was while it was committed, as a statement alone may
be at any moment: then nobody here can know whether it was. Every time is the database's: workers' clocks may be wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from random import random
from typing import Any, TypeVar
from urllib.parse import urlsplit

from holdover import telemetry
from holdover.errors import ConfigurationError, InternalServerError

from ..statements import load_migrations, load_statements
from ..tables import APPLICATION_ID
from . import nearest
from .pool import Pool
from .query import Connection, Query, fetch_value

try:
    import asyncpg  # type: ignore[import-untyped]
except ModuleNotFoundError as missing:
    raise ConfigurationError("PostgreSQL needs a driver: pip install 'holdover[postgres]'.") from missing

T = TypeVar("T")
Work = Callable[[Connection], Awaitable[T]]

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
#: About how long one of two that were in each other's way waits before it is begun again, in seconds.
GIVE_WAY_S = 0.02

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

NOW = Query(load_statements("postgres", "runs.sql")["now"])


class Database:
    """An open database: its pool of connections, and its clock.

    Attributes:
        near: What a transaction on the index of vectors sets; ``None`` where there is none (`nearest`).
        is_read_committed: Whether a statement alone sees what it waited for, as one within `transaction` does.
    """

    def __init__(self, url: str, pool: Pool, clock: Clock, near: str | None, *, is_read_committed: bool) -> None:
        self.url = url
        self.clock = clock
        self.near = near
        self.is_read_committed = is_read_committed
        self._pool = pool
        self._under_way: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    @classmethod
    async def open(cls, url: str, *, command_timeout_s: float) -> Database:
        """Open a database, making or migrating its tables as needed. See `PostgresStore.open`."""
        _check_url(url)
        clock = Clock()
        with _explained():
            # Not one of the pool: to migrate takes as long as it takes, and so does waiting for who does it first.
            connection = await connect(url)
            try:
                await _migrate(connection)
                near = await _prepare_nearest(connection)
                await clock.ask(connection)
                isolation = await connection.fetchval("SHOW default_transaction_isolation")
            finally:
                await connection.close()
        pool = Pool(lambda: connect(url, command_timeout_s=command_timeout_s), limit=MAX_CONNECTIONS)
        return cls(url, pool, clock, near, is_read_committed=isolation == "read committed")

    async def write(self, work: Work[T], *, durable: bool = True) -> T:
        """Carry out ``work`` in a transaction; return when it is durable, or at least written where it need not be."""

        async def within(connection: Connection) -> T:
            async with transaction(connection, BEGIN if durable else BEGIN_UNFLUSHED):
                return await work(connection)

        return await self._finish(within, durable)

    async def write_at_once(self, work: Work[T], *, durable: bool) -> T:
        """Carry out ``work``, which is one statement, without a transaction around it. See `write`."""

        async def within(connection: Connection) -> T:
            with _certain(connection):
                return await work(connection)

        return await self._finish(within, durable)

    async def _finish(self, work: Work[T], durable: bool) -> T:
        """Carry out ``work``. A caller that goes away takes nothing with it: its write is carried out all the same."""
        self._check_open()
        task = asyncio.create_task(self._carry_out(work, durable))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _carry_out(self, work: Work[T], durable: bool) -> T:
        began = time.perf_counter()
        result = await self._attempt(work)
        if durable:
            telemetry.emit("store.commit", jobs=1, seconds=time.perf_counter() - began)
        return result

    async def read(self, work: Work[T]) -> T:
        """Carry out ``work``, which begins a transaction itself where it needs one."""
        self._check_open()
        return await self._attempt(work)

    async def _attempt(self, work: Work[T]) -> T:
        """Carry out ``work``; do so again while it is another's doing that it failed and it is certain that it did."""
        for retries_left in range(MAX_RETRIES, -1, -1):
            try:
                return await self._lent(work)
            except FAILURES as error:
                if not retries_left or not _is_passing(error):
                    raise _translate(error) from error
                if isinstance(error, asyncpg.DeadlockDetectedError):
                    await asyncio.sleep(GIVE_WAY_S * (0.5 + random()))  # the other is to go on before this comes again
        raise AssertionError("unreachable")

    async def _lent(self, work: Work[T]) -> T:
        """Carry out ``work`` on a connection of the pool.

        One that was lost is not used again, nor one that gave no answer in time, or whose answer nobody waits for.
        """
        connection = await self._pool.take()
        is_asking = False
        try:
            return await work(connection)
        except LOSSES:
            _give_up(connection)
            raise
        except asyncio.CancelledError:
            is_asking = True
            raise
        finally:
            self._pool.give_back(connection, is_asking=is_asking)

    def _check_open(self) -> None:
        if self._is_closed:
            raise InternalServerError("The store is closed.")

    async def close(self) -> None:
        """Finish what was begun and close all connections."""
        self._is_closed = True
        if self._under_way:
            await asyncio.wait(self._under_way)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._pool.close()
        except FAILURES:
            self._pool.terminate()


class Clock:
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
        self.learn(await fetch_value(connection, NOW), asked)


# ----------------------------------------------------------------------------------------- transactions


@contextlib.asynccontextmanager
async def transaction(connection: Connection, begin: str = BEGIN) -> AsyncIterator[None]:
    """Begin and end a transaction."""
    try:
        await connection.execute(begin)
        yield
    except LOSSES:
        raise  # the connection is given up, and its transaction with it
    except BaseException:
        with contextlib.suppress(*FAILURES):
            await connection.execute("ROLLBACK")
        raise
    with _certain(connection, FAILURES):
        await connection.execute("COMMIT")


@contextlib.contextmanager
def _certain(connection: Connection, failures: Any = LOSSES) -> Iterator[None]:
    """Try nothing again that fails so: perhaps it was carried out, and whoever asked for it can look."""
    try:
        yield
    except failures as error:
        _give_up(connection)
        raise _translate(error) from error


def _give_up(connection: Connection) -> None:
    connection.terminate()


# -------------------------------------------------------------------------------------------- opening


async def connect(url: str, *, command_timeout_s: float | None = None) -> Connection:
    """Return a connection; ``command_timeout_s`` is how long its answers are waited for."""
    return await asyncpg.connect(
        url, timeout=CONNECT_TIMEOUT_S, command_timeout=command_timeout_s, server_settings=_server_settings(url)
    )


def _server_settings(url: str) -> dict[str, str]:
    """Return what the server is told beside what the URL says, which goes first."""
    return {} if "application_name=" in url else {"application_name": "holdover"}


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
        connection = await connect(url)
        try:
            version = await _checked_version(connection, newest)
            is_indexed = await nearest.is_prepared(connection)
        finally:
            await connection.close()
    if version == 0:
        return "PostgreSQL answers. Holdover's tables are not there yet; the service makes them when it starts."
    if version < newest:
        return f"PostgreSQL answers. The tables are of an older release (schema {version}); the service updates them."
    large = f"Vector stores of more than {nearest.SCANNED_CHUNKS:,} chunks"
    looked = "found by an index" if is_indexed else "compared whole: there is no pgvector (0.8 or newer)"
    return f"PostgreSQL can be used (schema {version}). {large} are {looked}."


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


async def _prepare_nearest(connection: Connection) -> str | None:
    """Return what `nearest.prepare` does; ``None`` where the database has not what it takes, or refuses it."""
    try:
        async with connection.transaction(isolation="read_committed"):
            await connection.execute(f"SELECT pg_advisory_xact_lock({APPLICATION_ID}, 0)")
            return await nearest.prepare(connection)
    except asyncpg.PostgresError as error:
        if isinstance(error, LOSSES):
            raise
        return None


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
