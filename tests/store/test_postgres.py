"""What is special to PostgreSQL: several processes at one database, which may go away and come back."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
from tests import postgres as servers

from holdover.errors import ConfigurationError, InternalServerError
from holdover.store.postgres import PostgresStore, database, inspect, objects, runs
from holdover.store.postgres.query import Query, fetch_value
from holdover.store.protocol import (
    Lease,
    MissingReference,
    NewObject,
    Reference,
    RunChange,
    RunColumns,
    RunRow,
    Store,
    ThreadBusy,
)
from holdover.store.statements import load_migrations

from .objects import add, becomes, listed, new, page, repeatable

LATER = 4_000_000_000.0


@pytest.fixture
async def url(tmp_path: Path) -> str:
    """A schema without tables."""
    return await servers.database_url(tmp_path)


@pytest.fixture
async def stores(url: str) -> AsyncIterator[tuple[PostgresStore, PostgresStore]]:
    """Two processes' stores in one database, as far as the database can tell."""
    opened = await PostgresStore.open(url), await PostgresStore.open(url)
    yield opened
    for each in opened:
        await each.close()


@pytest.fixture
def begun_again(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """Errors for whose sake the stores began something again, or thought of it."""
    errors: list[Exception] = []
    is_passing = database._is_passing
    monkeypatch.setattr(database, "_is_passing", lambda error: errors.append(error) or is_passing(error))
    return errors


@pytest.fixture
def server() -> Iterator[servers.Server]:
    """A server for one test, to be maltreated."""
    with tempfile.TemporaryDirectory(prefix="hpg-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        try:
            started = servers.Server(Path(folder))
            started.start()
        except servers.Unavailable as error:
            pytest.skip(f"no PostgreSQL: {error}")
        started.end_with_this_process()
        yield started
        started.stop("immediate")


def run(run_id: str, thread_id: str, lease: Lease | None = None) -> NewObject:
    columns = RunColumns(status="queued", expires_at=LATER, lease=lease)
    return NewObject(kind="run", id=run_id, created_at=1, document=b"{}", owner=thread_id, run=columns)


async def add_run(store: Store, run_id: str, lease: Lease | None = None) -> None:
    thread = f"thread_of_{run_id}"
    await store.create([new(thread, kind="thread"), run(run_id, thread, lease)], reply=b"")


def drive(worker: str, **more: Any) -> Callable[[RunRow], RunChange | None]:
    return lambda row: RunChange(
        status="in_progress", document=b"{}", expires_at=LATER, lease=Lease(worker, 60), **more
    )


async def until(happened: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await happened():  # noqa: ASYNC110 - the database tells of this only when it is asked
            await asyncio.sleep(0.01)


# -------------------------------------------------------------------------------------------- opening


async def test_processes_that_start_together_make_the_tables_once(url: str) -> None:
    opened = await asyncio.gather(*(PostgresStore.open(url) for _ in range(6)))
    await add(opened[0], "asst_a")
    assert await listed(opened[5]) == ["asst_a"]
    for each in opened:
        await each.close()
    connection = await asyncpg.connect(url)
    versions = [row[0] for row in await connection.fetch("SELECT version FROM holdover_schema ORDER BY version")]
    assert versions == [number for number, _ in load_migrations("postgres")]
    await connection.close()


async def test_a_newer_schema_is_left_alone(url: str) -> None:
    await (await PostgresStore.open(url)).close()
    connection = await asyncpg.connect(url)
    await connection.execute("INSERT INTO holdover_schema VALUES (99, now())")
    await connection.close()
    with pytest.raises(ConfigurationError, match=r"newer Holdover \(schema 99; .*Upgrade this one"):
        await PostgresStore.open(url)


async def test_tables_of_another_program_are_left_alone(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE threads (id integer)")
    with pytest.raises(ConfigurationError, match="another program's"):
        await PostgresStore.open(url)
    assert await connection.fetchval("SELECT to_regclass('assistants')") is None
    await connection.close()


async def test_a_look_tells_how_the_database_is_and_changes_nothing(url: str) -> None:
    assert "not there yet" in await asyncio.to_thread(inspect, url)
    assert "not there yet" in await asyncio.to_thread(inspect, url)
    await (await PostgresStore.open(url)).close()
    seen = await asyncio.to_thread(inspect, url)
    assert seen.startswith(f"PostgreSQL can be used (schema {load_migrations('postgres')[-1][0]}). ")


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("address", "advice"),
    [
        ("postgresql://postgres:hunter2@127.0.0.1:1/postgres", "Is it running"),
        ("postgresql://postgres:hunter2@/postgres?host=/nowhere", "Is it running"),
        ("postgresql://postgres:hunter2@/nothing?host={folder}", "createdb"),
        ("postgresql://nobody:hunter2@/postgres?host={folder}", "Check the user and the password"),
        ("postgresql://postgres:hunter2/x@/postgres?host={folder}", "cannot be understood"),
        ("postgresql://postgres:1/hunter2@localhost/postgres", "cannot be understood"),
        ("postgresql://postgres:1#hunter2@localhost/postgres", "cannot be understood"),
        ("postgresql://postgres:1?hunter2@localhost/postgres", "cannot be understood"),
        ("postgresql://postgres:hunter2@[x/postgres", "cannot be understood"),
        ("postgresql://postgres@/postgres?host={folder}&password=hunter2&sslmode=hunter2", "option"),
        ("postgresql://postgres@/postgres?host={folder}&password=hunter2&no_such_option=1", "no_such_option"),
    ],
)
async def test_whatever_is_wrong_is_explained_without_the_password(address: str, advice: str) -> None:
    base = servers.base_url()
    folder = base.partition("host=")[2] if isinstance(base, str) else ""
    if "{folder}" in address and not folder:
        pytest.skip("no PostgreSQL at a socket")
    with pytest.raises(ConfigurationError, match=re.escape(advice)) as refused:
        await PostgresStore.open(address.replace("{folder}", folder))
    shown: BaseException | None = refused.value
    while shown is not None:
        assert SECRET not in str(shown)
        shown = shown.__cause__


# --------------------------------------------------------------------------- several at the same time


async def test_what_one_process_has_for_others_they_are_told(stores: tuple[PostgresStore, PostgresStore]) -> None:
    one, other = stores
    hints: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    await other.watch(lambda status, run_id: hints.put_nowait((status, run_id)))
    await add_run(one, "run_a")
    await add_run(one, "run_driven", Lease("w", 60))
    await one.change_run("run_a", lambda row: RunChange(status="cancelling", document=b"{}", expires_at=LATER))
    await one.delete("thread", "thread_of_run_driven")
    async with asyncio.timeout(10):
        told = [await hints.get() for _ in range(3)]
    assert told == [("queued", "run_a"), ("cancelling", "run_a"), ("deleted", "run_driven")]


async def test_what_is_not_committed_is_not_told(stores: tuple[PostgresStore, PostgresStore]) -> None:
    one, other = stores
    hints: asyncio.Queue[str] = asyncio.Queue()
    await other.watch(lambda status, run_id: hints.put_nowait(run_id))
    await add_run(one, "run_a")
    with pytest.raises(InternalServerError):
        await one.create([run("run_b", "thread_of_run_a"), run("run_b", "thread_of_run_a")], reply=b"")
    await add_run(one, "run_c")
    async with asyncio.timeout(10):
        assert [await hints.get() for _ in range(2)] == ["run_a", "run_c"]


async def test_no_run_is_given_to_two_processes(stores: tuple[PostgresStore, PostgresStore]) -> None:
    names = [f"run_{n}" for n in range(40)]
    for each in names:
        await add_run(stores[0], each)
    claims = await asyncio.gather(*(stores[n % 2].claim_runs(7, drive(f"w{n}")) for n in range(12)))
    given = [each.row.id for claimed in claims for each in claimed]
    given += [each.row.id for each in await stores[0].claim_runs(40, drive("w"))]
    assert sorted(given) == sorted(names)


async def test_of_two_processes_that_give_a_thread_a_run_one_is_first(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    await add(stores[0], "thread_a", kind="thread")
    asked = [
        stores[n % 2].create([run(f"run_{n}", "thread_a")], reply=b"%d" % n, idle_thread="thread_a" if n % 3 else None)
        for n in range(12)
    ]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    (made,) = [each for each in outcomes if isinstance(each, bytes)]
    busy = [each.run_id for n, each in enumerate(outcomes) if n % 3 and isinstance(each, ThreadBusy)]
    assert set(busy) == {f"run_{made.decode()}"}


async def test_a_key_that_two_processes_are_given_at_the_same_time_counts_once(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    asked = [stores[n % 2].create([new(f"asst_{n}")], reply=b"%d" % n, repeatable=repeatable()) for n in range(10)]
    replies = await asyncio.gather(*asked)
    assert await listed(stores[0]) == [f"asst_{replies[0].decode()}"]
    assert len(set(replies)) == 1


async def test_an_ascending_list_waits_for_those_that_were_given_an_earlier_place(
    url: str, stores: tuple[PostgresStore, PostgresStore]
) -> None:
    early = await asyncpg.connect(url)
    await early.execute("BEGIN")
    await objects.insert(early, new("asst_early"))
    await add(stores[0], "asst_late")
    listing = asyncio.create_task(listed(stores[1]))
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    await until(lambda: _is_one(early, waiting))
    assert await listed(stores[0], ascending=False) == ["asst_late"], "what comes later stands before a descending list"
    await early.execute("COMMIT")
    assert await listing == ["asst_early", "asst_late"]
    await early.close()


async def _is_one(connection: Any, question: str) -> bool:
    return await connection.fetchval(question) == 1


async def test_whoever_follows_a_list_while_it_grows_misses_nothing(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    async def grow(store: PostgresStore, name: str) -> None:
        for n in range(25):
            await add(store, f"asst_{name}_{n}")

    seen: list[str] = []
    growing = asyncio.gather(*(grow(stores[n % 2], str(n)) for n in range(12)))
    while not growing.done() or (await page(stores[0], after=seen[-1] if seen else None)).ids:
        seen += await listed(stores[0], limit=7, after=seen[-1] if seen else None)
    assert len(seen) == len(set(seen)) == 12 * 25


async def test_a_thread_can_be_deleted_beneath_its_driver_without_a_deadlock(
    stores: tuple[PostgresStore, PostgresStore], begun_again: list[Exception]
) -> None:
    names = [f"run_{n}" for n in range(30)]
    for each in names:
        await add_run(stores[0], each)
    numbers = itertools.count()

    def add_message(row: RunRow) -> RunChange:
        message = new(f"msg_{next(numbers)}", kind="message", owner=row.thread_id)
        return RunChange(status="in_progress", document=b"{}", expires_at=LATER, added=[message, message_of(row)])

    def message_of(row: RunRow) -> NewObject:
        return new(f"step_{next(numbers)}", kind="step", owner=row.id)

    async def work(name: str) -> None:
        while await stores[0].change_run(name, add_message) is not None:
            pass

    driving = asyncio.gather(*(work(each) for each in names))
    deleted = await asyncio.gather(*(stores[1].delete("thread", f"thread_of_{each}") for each in names))
    await driving
    assert deleted == [True] * len(names)
    assert begun_again == []


async def test_a_thread_can_be_deleted_beneath_who_adds_to_it_without_a_deadlock(
    stores: tuple[PostgresStore, PostgresStore], begun_again: list[Exception]
) -> None:
    one, other = stores
    for thread in (f"thread_{n}" for n in range(20)):
        await add(one, thread, kind="thread")
        asked = {"reply": b"", "requires": [Reference("thread", thread)], "idle_thread": thread}
        made = [[new(f"msg_{n}_{thread}", kind="message", owner=thread)] for n in range(4)]
        adding = [stores[n % 2].create(each, **asked) for n, each in enumerate(made)]
        outcomes = await asyncio.gather(
            *adding[:2], other.delete("thread", thread), *adding[2:], return_exceptions=True
        )
        assert {type(each) for each in outcomes} <= {bytes, bool, MissingReference}
    assert begun_again == []


async def test_what_the_database_breaks_off_is_begun_again(
    stores: tuple[PostgresStore, PostgresStore], begun_again: list[Exception]
) -> None:
    """Two that lock two rows in different orders, as nothing here does."""
    store = stores[0]
    both = asyncio.Barrier(2)

    def crosswise(first: str, second: str) -> Any:
        met = False

        async def work(connection: Any) -> None:
            nonlocal met
            await fetch_value(connection, objects.REPLACE["assistant"], id=first, document=first.encode())
            if not met:
                met = True
                await both.wait()
            await fetch_value(connection, objects.REPLACE["assistant"], id=second, document=first.encode())

        return work

    await add(store, "asst_a", "asst_b")
    await asyncio.gather(
        store._database.write(crosswise("asst_a", "asst_b")), store._database.write(crosswise("asst_b", "asst_a"))
    )
    first, second = (await page(store)).documents
    assert first == second
    # On a busy machine the one that gave way may come again before the other has gone on.
    assert {type(each) for each in begun_again} == {asyncpg.DeadlockDetectedError}


async def test_an_id_with_a_nul_is_that_of_nothing(stores: tuple[PostgresStore, PostgresStore]) -> None:
    store = stores[0]
    await add(store, "asst_a")
    assert await store.get("assistant", "asst_a\0") is None
    assert await store.delete("assistant", "asst_a\0") is False
    labels = {"a\0": "b\0", "c": "d"}
    await store.create([NewObject(kind="thread", id="thread_a", created_at=1, document=b"", labels=labels)], reply=b"")
    assert await listed(store, kind="thread", labels=labels) == ["thread_a"]


async def test_lists_and_searches_are_read_by_an_index_and_never_counted_off(
    url: str, stores: tuple[PostgresStore, PostgresStore]
) -> None:
    """Page a million costs what page one costs, and runs that have ended are never looked through."""
    connection = await asyncpg.connect(url)
    # So that the answer does not depend on how little there is in the tables.
    for each in ("seqscan", "sort", "bitmapscan"):
        await connection.execute(f"SET enable_{each} = off")
    given = {"low": 1, "high": 9, "limit": 1, "owner": "a", "run": "a", "key": "a", "value": "b", "id": "a"}
    given |= {"purpose": "batch", "batch": "vsfb_a", "status": "failed"}

    async def plan(query: Query) -> str:
        arguments = query.arguments(given | {"keys": [], "values": []})
        return "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {query.sql}", *arguments))

    for upwards in (True, False):
        for kind, of, index in (
            ("assistant", (), "assistants_pkey"),
            ("message", (), "messages_by_owner"),
            ("message", ("run",), "messages_by_run"),
            ("file", ("purpose",), "files_by_purpose"),
            ("run", (), "runs_by_owner"),
            ("step", (), "steps_by_owner"),
            ("vector_store_file", (), "vector_store_files_by_owner"),
            ("vector_store_file", ("batch",), "vector_store_files_by_batch"),
        ):
            assert index in await plan(objects.scan(kind, upwards, frozenset(of)))
        labelled = await plan(objects.SCAN_LABELLED[upwards])
        assert "thread_labels_pkey" in labelled
        assert "Sort" not in labelled
    await connection.execute("SET enable_sort = on")
    for query in (runs.CLAIM, runs.IS_CLAIMABLE, runs.DUE):
        assert "active_runs" in await plan(query)
    assert "one_active_run" in await plan(runs.ACTIVE_RUN)
    await connection.close()


# ----------------------------------------------------------------------------------------------- time


async def test_the_time_is_the_databases() -> None:
    clock = database.Clock()
    clock.learn(1000.0, time.monotonic())
    assert clock.now() == pytest.approx(1000.0, abs=0.5)
    clock.learn(1000.0, time.monotonic() - 60)
    assert clock.now() == pytest.approx(1000.0, abs=0.5), "an answer that took long tells little"
    clock.learn(500.0, time.monotonic())
    assert clock.now() == pytest.approx(500.0, abs=0.5), "it was set back"
    clock.learn(2000.0, time.monotonic())
    assert clock.now() == pytest.approx(2000.0, abs=0.5)


# -------------------------------------------------------------------------------------------- trouble


async def test_what_lost_its_connection_is_begun_again_on_another(
    stores: tuple[PostgresStore, PostgresStore], begun_again: list[Exception]
) -> None:
    store = stores[0]

    def lost_once() -> Callable[[Any], Awaitable[int]]:
        connections: list[int] = []

        async def work(connection: Any) -> int:
            connections.append(await connection.fetchval("SELECT pg_backend_pid()"))
            if len(connections) == 1:
                await connection.fetchval("SELECT pg_terminate_backend($1)", connections[0])
            return len(set(connections))

        return work

    assert await store._database.read(lost_once()) == 2
    assert await store._database.write(lost_once()) == 2
    assert len(begun_again) == 2


async def test_a_question_that_nobody_waits_for_any_more_is_in_nobodys_way(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    store = stores[0]
    asked = [asyncio.create_task(store._database.read(_sleep_in_the_database)) for _ in range(database.MAX_CONNECTIONS)]
    await until(lambda: _are_asleep(stores[1], len(asked)))
    for each in asked:
        each.cancel()
    await asyncio.wait(asked)
    async with asyncio.timeout(10):
        await asyncio.gather(*(add(store, f"asst_{n}") for n in range(20)))
    await until(lambda: _are_asleep(stores[1], 0))  # the server does not go on for nobody


async def _sleep_in_the_database(connection: Any) -> None:
    await connection.execute("SELECT pg_sleep(30)")


async def _are_asleep(store: PostgresStore, count: int) -> bool:
    asleep = """
        SELECT count(*) FROM pg_stat_activity
        WHERE query = 'SELECT pg_sleep(30)' AND state = 'active' AND datname = current_database()
    """

    async def look(connection: Any) -> bool:
        return bool(await connection.fetchval(asleep) == count)

    return await store._database.read(look)


async def tell(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


async def lose_connections(url: str, after: str) -> None:
    """Have the server end every connection that commits such a change."""
    await tell(
        url,
        f"""
        CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER lost AFTER {after}
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lose();
        """,
    )


async def test_what_was_lost_while_it_was_committed_is_not_written_twice(
    url: str, stores: tuple[PostgresStore, PostgresStore]
) -> None:
    """Nobody here can know whether it was written; who asked can look."""
    await lose_connections(url, "INSERT ON threads")
    tried = 0

    async def work(connection: Any) -> None:
        nonlocal tried
        tried += 1
        await objects.insert(connection, new("thread_a", kind="thread"))

    with pytest.raises(InternalServerError, match="The database refused"):
        await stores[0]._database.write(work)
    assert tried == 1
    assert await stores[0].get("thread", "thread_a") is None


@pytest.mark.parametrize("durable", [True, False])
async def test_a_run_that_is_known_is_changed_in_one_statement(
    stores: tuple[PostgresStore, PostgresStore], monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    store = stores[0]
    await add_run(store, "run_a")
    given = await store.change_run("run_a", drive("w", extra=b"e"))
    assert given is not None
    asked: list[str] = []
    fetch_value, execute = asyncpg.Connection.fetchval, asyncpg.Connection.execute
    for name, ask in (("fetchval", fetch_value), ("execute", execute)):

        async def noted(connection: Any, statement: str, *arguments: Any, ask: Any = ask) -> Any:
            asked.append(statement)
            return await ask(connection, statement, *arguments)

        monkeypatch.setattr(asyncpg.Connection, name, noted)

    def change(row: RunRow) -> RunChange:
        steps = [new(f"step_{n}", kind="step", owner="run_a") for n in range(1)]
        return RunChange(status="completed", document=b"done", expires_at=None, added=steps)

    await store.change_run("run_a", change, known=given.after, durable=durable)
    assert len(asked) == 1
    assert await stores[1].get("step", "step_0", owner="run_a") is not None


async def test_where_statements_see_less_a_known_run_is_read_all_the_same(
    url: str, stores: tuple[PostgresStore, PostgresStore], begun_again: list[Exception]
) -> None:
    await add_run(stores[0], "run_a")
    given = await stores[0].change_run("run_a", drive("w"))
    assert given is not None
    opened = await PostgresStore.open(f"{url}{'&' if '?' in url else '?'}default_transaction_isolation=serializable")

    def change(row: RunRow) -> RunChange:
        return RunChange(status="in_progress", document=row.document + b"!", expires_at=LATER, lease="keep")

    await asyncio.gather(*(each.change_run("run_a", change, known=given.after) for each in (opened, *stores) * 5))
    assert await opened.get("run", "run_a", owner="thread_of_run_a") == b"{}" + 15 * b"!"
    assert not any(isinstance(each, asyncpg.SerializationError) for each in begun_again)
    await opened.close()


@pytest.mark.parametrize("durable", [True, False])
async def test_what_need_not_be_flushed_says_so_for_its_own_transaction(
    stores: tuple[PostgresStore, PostgresStore], durable: bool
) -> None:
    await add_run(stores[0], "run_a")
    given = await stores[0].change_run("run_a", drive("w"))
    assert given is not None
    made = RunChange(status="completed", document=b"done", expires_at=None)

    async def work(connection: Any) -> tuple[str, str]:
        async with database.transaction(connection):
            assert await runs.write_known(connection, given.after, made, durable=durable)
            inside = await connection.fetchval("SHOW synchronous_commit")
        return inside, await connection.fetchval("SHOW synchronous_commit")

    assert await stores[0]._database.read(work) == ("on" if durable else "off", "on")


async def test_a_statement_that_is_lost_is_not_asked_again(
    url: str, stores: tuple[PostgresStore, PostgresStore]
) -> None:
    await add_run(stores[0], "run_a")
    given = await stores[0].change_run("run_a", drive("w"))
    assert given is not None
    await lose_connections(url, "UPDATE ON runs")
    made = 0

    def change(row: RunRow) -> RunChange:
        nonlocal made
        made += 1
        return RunChange(status="completed", document=b"done", expires_at=None)

    with pytest.raises(InternalServerError, match="The database refused"):
        await stores[0].change_run("run_a", change, known=given.after)
    assert made == 1
    await tell(url, "DROP TRIGGER lost ON runs")
    assert await stores[0].change_run("run_a", change, known=given.after) is not None
    assert await stores[1].get("run", "run_a", owner="thread_of_run_a") == b"done"


async def test_a_process_that_is_frozen_in_a_transaction_holds_up_others_for_a_while_only(
    stores: tuple[PostgresStore, PostgresStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = f"{database.IDLE_TIMEOUT_S * 1000:.0f}"
    assert patience in database.BEGIN
    assert database.IDLE_TIMEOUT_S < database.COMMAND_TIMEOUT_S
    monkeypatch.setattr(database, "BEGIN", database.BEGIN.replace(patience, "200"))
    await add(stores[0], "asst_a")
    is_frozen, may_go_on = asyncio.Event(), asyncio.Event()

    async def freeze(connection: Any) -> None:
        await fetch_value(connection, objects.GET_LOCKED["assistant"], id="asst_a", owner=None)
        is_frozen.set()
        await may_go_on.wait()
        await fetch_value(connection, objects.REPLACE["assistant"], id="asst_a", document=b"last")

    frozen = asyncio.create_task(stores[0]._database.write(freeze))
    await is_frozen.wait()
    try:
        assert await stores[1].modify("assistant", "asst_a", becomes(b"changed")) == b"changed"
    finally:
        may_go_on.set()
    await frozen
    assert await stores[1].get("assistant", "asst_a") == b"last", "it began again"


async def test_a_server_that_goes_away_and_comes_back_is_survived(server: servers.Server) -> None:
    store = await PostgresStore.open(server.url)
    hints: asyncio.Queue[str] = asyncio.Queue()
    await store.watch(lambda status, run_id: hints.put_nowait(run_id))
    await add_run(store, "run_a")
    assert await hints.get() == "run_a"

    await asyncio.to_thread(server.stop, "immediate")
    with pytest.raises(InternalServerError, match="The database refused"):
        await store.get("run", "run_a", owner="thread_of_run_a")
    with pytest.raises(InternalServerError, match="The database refused"):
        await store.change_run("run_a", drive("w"))
    await asyncio.to_thread(server.start)

    assert await store.get("run", "run_a", owner="thread_of_run_a") == b"{}"
    assert await store.change_run("run_a", drive("w")) is not None
    names = (f"run_{secrets.token_hex(4)}" for _ in itertools.count())

    async def is_heard() -> bool:
        await add_run(store, next(names))
        return not hints.empty()

    await until(is_heard)
    await store.close()


async def test_a_server_that_answers_nothing_is_not_waited_for_for_ever(
    server: servers.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "CONNECT_TIMEOUT_S", 0.5)
    store = await PostgresStore.open(server.url, command_timeout_s=0.5)
    await add_run(store, "run_a")
    server.freeze()
    try:
        outcomes = await asyncio.gather(
            store.get("run", "run_a", owner="thread_of_run_a"),
            store.change_run("run_a", drive("w")),
            return_exceptions=True,
        )
        assert [str(each) for each in outcomes] == ["The database did not answer in time."] * 2
    finally:
        server.thaw()
    assert await store.change_run("run_a", drive("w")) is not None
    await store.close()
