"""What is special to SQLite: its file, its lock, its promises to the disk."""

# ruff: noqa: ASYNC221, ASYNC240 - nothing else waits for the loops of these tests

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from holdover import telemetry
from holdover.errors import ConfigurationError, InternalServerError
from holdover.store.protocol import Lease, Modification, NewObject, RunColumns, Store
from holdover.store.sqlite import SQLiteStore, database, objects
from holdover.store.statements import load_migrations
from holdover.store.tables import APPLICATION_ID

from .objects import add, becomes, document, listed, new, page

_OPEN = """
import asyncio, sys
from holdover.store.sqlite import SQLiteStore
from holdover.errors import ConfigurationError
try:
    asyncio.run(SQLiteStore.open(sys.argv[1]))
except ConfigurationError as error:
    print(error)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "holdover.db"


async def refusal(path: Path | str) -> str:
    """Return why a database cannot be opened."""
    with pytest.raises(ConfigurationError) as refused:
        await SQLiteStore.open(str(path))
    return str(refused.value)


async def written(path: Path, *identifiers: str) -> None:
    """Make a database with some objects in it."""
    store = await SQLiteStore.open(str(path))
    await add(store, *identifiers)
    await store.close()


def execute(path: Path, *statements: str) -> None:
    """Change a database from outside."""
    with closing(sqlite3.connect(path)) as connection:
        for each in statements:
            connection.execute(each)
        connection.commit()


async def ask_writer(store: Store, question: str) -> Any:
    """Run one statement on the connection that writes."""
    return await store._database.write(lambda connection: connection.execute(question).fetchone())  # type: ignore[attr-defined]


# -------------------------------------------------------------------------------------------- opening


async def test_a_database_is_made_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "holdover.db"
    await written(path, "asst_a")
    assert path.is_file()


async def test_an_empty_file_becomes_a_database(path: Path) -> None:
    path.touch()
    await written(path, "asst_a")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (load_migrations("sqlite")[-1][0],)


async def test_a_store_in_memory_is_gone_when_it_is_closed() -> None:
    store = await SQLiteStore.open(":memory:")
    await add(store, "asst_a")
    path = store.path
    assert await listed(store) == ["asst_a"]
    await store.close()
    assert not os.path.exists(path)


async def test_a_second_process_is_refused_and_told_of_the_first(path: Path) -> None:
    store = await SQLiteStore.open(str(path))
    told = subprocess.run([sys.executable, "-c", _OPEN, path], capture_output=True, text=True, check=True).stdout
    assert told.strip() == (
        f"The database {path} is in use by another process (pid {os.getpid()}). Stop that one, or name another file: "
        "one SQLite file serves one process."
    )
    await add(store, "asst_a")
    await store.close()
    told = subprocess.run([sys.executable, "-c", _OPEN, path], capture_output=True, text=True, check=True).stdout
    assert told == ""


async def test_a_file_has_one_lock_by_whatever_name_it_is_called(path: Path, tmp_path: Path) -> None:
    other_name = tmp_path / "link.db"
    other_name.symlink_to(path)
    store = await SQLiteStore.open(str(path))
    assert "is in use by another process" in await refusal(other_name)
    await store.close()


async def test_a_newer_schema_is_refused_and_left_as_it_is(path: Path) -> None:
    await written(path, "asst_a")
    newest = load_migrations("sqlite")[-1][0]
    execute(path, f"PRAGMA user_version = {newest + 1}")
    before = path.read_bytes()
    assert await refusal(path) == (
        f"{path} was written by a newer Holdover (schema {newest + 1}; this one knows {newest}). "
        "Upgrade this one, or name another file."
    )
    assert path.read_bytes() == before


async def test_the_database_of_another_program_is_refused_and_left_as_it_is(path: Path) -> None:
    execute(path, "CREATE TABLE assistants (id TEXT)", "INSERT INTO assistants VALUES ('asst_a')")
    before = path.read_bytes()
    assert await refusal(path) == f"{path} is the database of another program; name another file."
    assert path.read_bytes() == before


async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: Path) -> None:
    text = "This is a letter, not a database.\n" * 100
    path.write_text(text)
    assert await refusal(path) == f"The database {path} cannot be opened: file is not a database."
    assert path.read_text() == text


async def test_a_folder_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    assert "cannot be opened" in await refusal(tmp_path / "folder.db")


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be opened" in await refusal(tmp_path / "file" / "holdover.db")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions do not bind this user")
async def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert "Permission denied" in await refusal(tmp_path / "holdover.db")
    finally:
        tmp_path.chmod(0o700)


async def test_a_refused_database_can_be_opened_once_it_is_in_order(path: Path) -> None:
    path.write_text("not a database, and long enough to be looked at as one\n" * 50)
    await refusal(path)
    path.unlink()
    await written(path, "asst_a")


async def test_a_migration_that_fails_leaves_the_schema_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await written(path, "asst_a")
    known = load_migrations("sqlite")
    broken = [*known, (known[-1][0] + 1, "CREATE TABLE extra (x); CREATE TABLE assistants (y);")]
    monkeypatch.setattr(database, "load_migrations", lambda dialect: broken)
    assert "table assistants already exists" in await refusal(path)
    monkeypatch.undo()
    store = await SQLiteStore.open(str(path))
    assert await listed(store) == ["asst_a"]
    assert await ask_writer(store, "SELECT count(*) FROM sqlite_schema WHERE name = 'extra'") == (0,)
    await store.close()


async def test_an_older_schema_is_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await written(path, "asst_a")
    known = load_migrations("sqlite")
    newer = [*known, (known[-1][0] + 1, "CREATE TABLE extra (x);")]
    monkeypatch.setattr(database, "load_migrations", lambda dialect: newer)
    store = await SQLiteStore.open(str(path))
    assert await ask_writer(store, "PRAGMA user_version") == (newer[-1][0],)
    assert await listed(store) == ["asst_a"]
    await store.close()


@pytest.mark.parametrize("is_older", [False, True])
async def test_nobody_has_a_lease_on_a_file_that_is_opened(
    path: Path, monkeypatch: pytest.MonkeyPatch, is_older: bool
) -> None:
    store = await SQLiteStore.open(str(path))
    columns = RunColumns(status="in_progress", expires_at=4e9, lease=Lease("w1", 600))
    driven = NewObject(kind="run", id="run_a", created_at=1, document=b"{}", owner="thread_a", run=columns)
    await store.create([new("thread_a", kind="thread"), driven], reply=b"")
    assert await store.list_due_runs(9) == []
    await store.close()
    if is_older:
        known = load_migrations("sqlite")
        newer = [*known, (known[-1][0] + 1, "CREATE TABLE extra (x);")]
        monkeypatch.setattr(database, "load_migrations", lambda dialect: newer)
    store = await SQLiteStore.open(str(path))
    assert await store.list_due_runs(9) == ["run_a"]
    await store.close()


# ------------------------------------------------------------------------------------------- promises


async def test_an_answered_write_is_on_the_disk(path: Path) -> None:
    store = await SQLiteStore.open(str(path))
    full = 2
    assert await ask_writer(store, "PRAGMA synchronous") == (full,)
    assert await ask_writer(store, "PRAGMA journal_mode") == ("wal",)
    assert await ask_writer(store, "PRAGMA fullfsync") == (1,)
    assert await ask_writer(store, "PRAGMA foreign_keys") == (1,)
    await store.close()


async def test_the_connection_that_reads_cannot_write(path: Path) -> None:
    store = await SQLiteStore.open(str(path))
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store._database._reader.execute("DELETE FROM assistants")
    await store.close()


async def test_writes_that_wait_share_one_transaction(path: Path) -> None:
    store = await SQLiteStore.open(str(path))
    commits: list[int] = []
    detach = telemetry.attach("store.commit", lambda jobs, seconds: commits.append(jobs))
    try:
        await asyncio.gather(*(store.create([new(f"asst_{n}")], reply=b"{}") for n in range(100)))
    finally:
        detach()
    assert sum(commits) == 100
    assert len(commits) < 50
    await store.close()


async def test_an_answered_write_is_read_though_the_same_was_read_before_it_was_committed(path: Path) -> None:
    """What was read is kept at hand until anything is written."""
    store = await SQLiteStore.open(str(path))
    await add(store, "asst_a")
    go_on, committed = threading.Event(), threading.Event()
    detach = telemetry.attach("store.commit", lambda jobs, seconds: committed.set())

    def change(old: bytes) -> Modification:
        assert go_on.wait(20)
        return Modification(b"new")

    writing = asyncio.create_task(store.modify("assistant", "asst_a", change))
    await asyncio.sleep(0)
    assert await store.get("assistant", "asst_a") == document("asst_a")
    go_on.set()
    assert committed.wait(20)  # in one turn: the loop is held up
    assert await writing == b"new"
    assert await store.get("assistant", "asst_a") == b"new"
    assert (await page(store)).documents == [b"new"]

    assert await store.delete("assistant", "asst_a")
    assert await store.get("assistant", "asst_a") is None
    assert await listed(store) == []
    detach()
    await store.close()


async def test_reading_leaves_no_transaction_behind(path: Path) -> None:
    store = await SQLiteStore.open(str(path))
    await add(store, "asst_a")
    await store.get("assistant", "asst_a")
    await page(store)
    assert not store._database._reader.in_transaction
    # One would keep the write-ahead log from being taken over into the database.
    done = store._database._reader.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert done == (0, 0, 0)
    await store.close()


async def test_what_is_kept_at_hand_is_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "RECENT_LIMIT_BYTES", 3 * len(document("asst_0", "x" * 100)))
    store = await SQLiteStore.open(str(path))
    recent = store._database.recent
    identifiers = [f"asst_{n}" for n in range(8)]
    await store.create([new(each, content="x" * 100) for each in identifiers], reply=b"{}")
    for each in identifiers * 2:
        assert await store.get("assistant", each) == document(each, "x" * 100)
        assert recent._bytes == sum(map(len, recent._documents.values())) <= database.RECENT_LIMIT_BYTES
    await store.close()


async def test_lists_are_read_by_place_and_never_counted_off(path: Path) -> None:
    """Page a million costs what page one costs."""
    store = await SQLiteStore.open(str(path))
    reader = store._database._reader
    asked = {"low": 1, "high": 9, "limit": 1, "owner": "thread_a", "run": "run_a", "purpose": "batch"}
    asked |= {"batch": "vsfb_a", "status": "failed"}
    plans = {
        ("assistant", ()): "SEARCH assistants USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
        ("message", ()): "SEARCH messages USING INDEX messages_by_owner (owner=? AND seq>? AND seq<?)",
        ("message", ("run",)): "SEARCH messages USING INDEX messages_by_run (run_id=? AND seq>? AND seq<?)",
        ("run", ()): "SEARCH runs USING INDEX runs_by_owner (owner=? AND seq>? AND seq<?)",
        ("step", ()): "SEARCH steps USING INDEX steps_by_owner (owner=? AND seq>? AND seq<?)",
        ("file", ("purpose",)): "SEARCH files USING INDEX files_by_purpose (purpose=? AND seq>? AND seq<?)",
        **{
            ("vector_store_file", of): f"SEARCH vector_store_files USING INDEX {index} ({column}=? AND seq>? AND seq<?)"
            for of, index, column in (
                ((), "vector_store_files_by_owner", "owner"),
                (("status",), "vector_store_files_by_owner", "owner"),
                (("batch",), "vector_store_files_by_batch", "batch"),
            )
        },
    }
    for upwards in (True, False):
        for (kind, of), plan in plans.items():
            statement = objects.scan(kind, upwards, frozenset(of))
            rows = reader.execute(f"EXPLAIN QUERY PLAN {statement}", asked).fetchall()
            assert [row[3] for row in rows] == [plan]
        labelled = {**asked, "key": "a", "value": "b", "others": "{}"}
        first, *_ = reader.execute(f"EXPLAIN QUERY PLAN {objects.SCAN_LABELLED[upwards]}", labelled).fetchall()
        assert first[3] == "SEARCH label USING PRIMARY KEY (key=? AND value=? AND seq>? AND seq<?)"
    await store.close()


# -------------------------------------------------------------------------------------------- trouble


async def test_a_full_disk_acknowledges_nothing_and_loses_nothing(path: Path) -> None:
    store = await SQLiteStore.open(str(path))
    await add(store, "asst_a")
    (pages,) = await ask_writer(store, "PRAGMA page_count")
    await ask_writer(store, f"PRAGMA max_page_count = {pages + 8}")
    acknowledged = ["asst_a"]
    failures = []
    outcomes = await asyncio.gather(
        *(store.create([new(f"asst_{n}", content="x" * 1000)], reply=b"%d" % n) for n in range(100)),
        return_exceptions=True,
    )
    for each in outcomes:
        if isinstance(each, BaseException):
            failures.append(each)
        else:
            acknowledged.append(f"asst_{each.decode()}")
    assert failures
    assert {type(each) for each in failures} == {InternalServerError}
    assert str(failures[0]) == "The database refused: database or disk is full."
    with pytest.raises(InternalServerError):
        await store.modify("assistant", "asst_a", becomes(b"x" * 100_000))
    assert sorted(await listed(store, limit=1000)) == sorted(acknowledged)
    assert await store.get("assistant", "asst_a") == document("asst_a")

    await ask_writer(store, "PRAGMA max_page_count = 1073741823")
    await add(store, "asst_after")
    await store.close()
    again = await SQLiteStore.open(str(path))
    assert sorted(await listed(again, limit=1000)) == sorted([*acknowledged, "asst_after"])
    assert await ask_writer(again, "PRAGMA integrity_check") == ("ok",)
    await again.close()


async def test_only_what_was_made_durable_is_announced_as_a_commit(path: Path) -> None:
    store = await SQLiteStore.open(str(path))
    await add(store, "asst_a")
    commits: list[int] = []
    failures: list[BaseException] = []
    detach = [
        telemetry.attach("store.commit", lambda jobs, seconds: commits.append(jobs)),
        telemetry.attach("store.failure", lambda error: failures.append(error)),
    ]
    try:
        with pytest.raises(InternalServerError):
            await add(store, "asst_a")
    finally:
        for each in detach:
            each()
    assert commits == []
    assert [type(each) for each in failures] == [sqlite3.IntegrityError]
    await store.close()


async def test_damage_to_the_file_is_a_failure_and_not_an_answer(path: Path) -> None:
    await written(path)
    intact = path.stat().st_size  # the roots of tables and indexes are read when the file is opened; they stay
    await written(path, *(f"asst_{n}" for n in range(500)))
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(intact)
        file.write(b"\xa5" * (size - intact))
    store = await SQLiteStore.open(str(path))
    with pytest.raises(InternalServerError, match="The database refused"):
        await listed(store, limit=1000)
    with pytest.raises(InternalServerError, match="The database refused"):
        await store.get("assistant", "asst_1")
    with pytest.raises(InternalServerError, match="The database refused"):
        await add(store, *(f"asst_new{n}" for n in range(500)))
    await store.close()
