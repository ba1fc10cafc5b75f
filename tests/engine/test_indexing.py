"""The life of a file in a vector store: claimed, indexed, lost, begun again; and its table."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any, get_args

import pytest
from tests.engine.shelf import Clock, Indexer, Shelf, until

from holdover import telemetry
from holdover.engine import indexing
from holdover.errors import InternalServerError, NotFoundError
from holdover.store.sqlite import SQLiteStore
from holdover.wire.vector_stores import FileStatus


@pytest.fixture
async def shelf() -> AsyncIterator[Shelf]:
    clock = Clock()
    made = Shelf(await SQLiteStore.open(":memory:", clock=clock), clock)
    yield made
    await made.close()


# ------------------------------------------------------------------------------------------------- the table


def test_every_status_and_happening_of_the_table_is_known_and_has_a_meaning() -> None:
    statuses = get_args(FileStatus)
    assert indexing.MEANINGS.keys() == set(indexing.HAPPENINGS)
    assert {happening for _, happening in indexing.TABLE} == set(indexing.HAPPENINGS)
    for status, happening in itertools.product(statuses, indexing.HAPPENINGS):
        assert indexing.after(status, happening) in (*statuses, None)


def test_only_what_is_in_progress_ends_and_everything_can_be_attached_again() -> None:
    for status in get_args(FileStatus):
        assert indexing.after(status, "attach") == "in_progress"
        ends = {happening for happening in ("complete", "fail", "cancel") if indexing.after(status, happening)}
        assert ends == ({"complete", "fail", "cancel"} if status == "in_progress" else set())


# ---------------------------------------------------------------------------------------------- going well


async def test_a_file_is_indexed_and_found(shelf: Shelf) -> None:
    file_id = await shelf.file("hello")
    store = await shelf.vector_store(file_id)
    assert (store["status"], store["file_counts"]["in_progress"], store["usage_bytes"]) == ("in_progress", 1, 0)
    await shelf.index()
    store = await shelf.look(store)
    assert (store["status"], store["usage_bytes"]) == ("completed", 5)
    assert store["file_counts"] == {"in_progress": 0, "completed": 1, "failed": 0, "cancelled": 0, "total": 1}
    file = await shelf.look_at(store, file_id)
    assert (file["status"], file["usage_bytes"], file["last_error"]) == ("completed", 5, None)
    assert await shelf.found(store) == {file_id}


async def test_an_engine_that_was_started_indexes_by_itself_as_soon_as_it_is_told(shelf: Shelf) -> None:
    await shelf.engine.start()
    store = await shelf.vector_store(*await shelf.files("a", "b", "c", "d", "e", "f"))

    async def is_done() -> bool:
        return (await shelf.look(store))["file_counts"]["completed"] == 6

    async with asyncio.timeout(10):
        while not await is_done():  # noqa: ASYNC110
            await asyncio.sleep(0)
    await shelf.engine.stop()


async def test_only_so_many_files_are_indexed_at_the_same_time(shelf: Shelf) -> None:
    await shelf.vector_store(*await shelf.files(*"~~~~~~"))
    await shelf.begin(4)
    await shelf.indexing.claim()
    assert len(shelf.indexer.begun) == 4


async def test_one_file_need_not_wait_for_many_that_came_before_it(shelf: Shelf) -> None:
    await shelf.vector_store(*await shelf.files(*"~~~~~~"))
    alone = await shelf.vector_store(await shelf.file("quick"))
    await shelf.begin(4)
    await until(lambda: len(shelf.indexing._tasks) == 3)
    assert (await shelf.look(alone))["status"] == "completed"


async def test_a_file_is_cut_as_it_was_asked_for(shelf: Shelf) -> None:
    file_id = await shelf.file()
    strategy = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}}
    store = await shelf.vector_store(file_id, chunking_strategy=strategy)
    await shelf.index()
    assert (await shelf.look_at(store, file_id))["chunking_strategy"] == strategy
    assert shelf.indexer.asked == [(100, 50)]


# ---------------------------------------------------------------------------------------------- going wrong


async def test_a_file_that_cannot_be_read_says_why(shelf: Shelf) -> None:
    bad, good = await shelf.files("!It is broken.", "text")
    store = await shelf.vector_store(bad, good)
    await shelf.index()
    file = await shelf.look_at(store, bad)
    assert (file["status"], file["last_error"]) == ("failed", {"code": "invalid_file", "message": "It is broken."})
    store = await shelf.look(store)
    assert (store["status"], store["file_counts"]["failed"], store["file_counts"]["total"]) == ("completed", 1, 2)
    assert await shelf.found(store) == {good}


async def test_a_fault_of_our_own_fails_the_file_and_is_told(shelf: Shelf) -> None:
    told: list[Any] = []
    detach = telemetry.attach("index.failure", lambda **told_of: told.append(told_of["error"]))
    file_id = await shelf.file("?")
    store = await shelf.vector_store(file_id)
    await shelf.index()
    detach()
    assert (await shelf.look_at(store, file_id))["last_error"]["code"] == "server_error"
    assert isinstance(told[0], ZeroDivisionError)


async def test_what_is_not_the_files_fault_is_tried_again_before_it_fails(shelf: Shelf) -> None:
    file_id = await shelf.file("%The embedder is away.")
    store = await shelf.vector_store(file_id)
    for attempt in range(1, indexing.MAX_ATTEMPTS + 1):
        await shelf.begin()
        await until(lambda: not shelf.indexing._tasks)
        status = (await shelf.look_at(store, file_id))["status"]
        assert status == ("in_progress" if attempt < indexing.MAX_ATTEMPTS else "failed")
        shelf.clock.time += 11
    error = {"code": "server_error", "message": "The embedder is away."}
    assert (await shelf.look_at(store, file_id))["last_error"] == error


async def test_a_file_whose_worker_is_gone_is_indexed_by_another(shelf: Shelf) -> None:
    file_id = await shelf.file("~")
    store = await shelf.vector_store(file_id)
    await shelf.begin()
    await shelf.die()
    shelf.new_engine(Indexer("f"))
    await shelf.indexing.claim()
    assert shelf.indexer.begun == [], "the lease still holds"
    shelf.clock.time += 11
    await shelf.begin()
    row = await shelf.store.change_store_file(store["id"], file_id, lambda row: None)
    assert row is not None
    assert (row.row.attempts, row.row.epoch) == (1, 2)


async def test_a_file_that_ends_its_workers_fails(shelf: Shelf) -> None:
    file_id = await shelf.file("~")
    store = await shelf.vector_store(file_id)
    for _ in range(indexing.MAX_ATTEMPTS):
        await shelf.begin()
        assert (await shelf.look_at(store, file_id))["status"] == "in_progress"
        await shelf.die()
        shelf.clock.time += 11
    await shelf.indexing.claim()
    file = await shelf.look_at(store, file_id)
    assert (file["status"], file["last_error"]["code"]) == ("failed", "server_error")
    assert shelf.indexing._tasks == {}
    assert (await shelf.look(store))["file_counts"]["failed"] == 1


async def test_a_worker_that_was_frozen_writes_nothing(shelf: Shelf) -> None:
    """Another took its file while it slept: its epoch is old."""
    file_id = await shelf.file("text")
    store = await shelf.vector_store(file_id)
    await shelf.indexing.claim()
    ((epoch, task),) = shelf.indexing._tasks.values()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    found = await shelf.store.change_store_file(store["id"], file_id, lambda row: None)
    assert found is not None
    shelf.clock.time += 11
    first = shelf.indexing
    shelf.new_engine(Indexer("f"))
    await shelf.index()
    assert not await first._write(found.row, epoch, indexing.outdated)
    assert (await shelf.look_at(store, file_id))["status"] == "completed"


async def test_files_under_way_are_given_back_when_a_process_stops(shelf: Shelf) -> None:
    file_id = await shelf.file("~")
    store = await shelf.vector_store(file_id)
    await shelf.begin()
    await shelf.engine.stop()
    shelf.new_engine(Indexer("f"))
    await shelf.begin()
    row = await shelf.store.change_store_file(store["id"], file_id, lambda row: None)
    assert row is not None
    assert row.row.attempts == 0, "it was not the file's doing"


async def test_a_database_that_refuses_leaves_the_file_to_its_lease(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = await shelf.file()
    store = await shelf.vector_store(file_id)

    async def refuse(*given: Any) -> Any:
        raise InternalServerError("The database refused.")

    with monkeypatch.context() as patched:
        patched.setattr(shelf.store, "change_store_file", refuse)
        await shelf.begin()
        await until(lambda: not shelf.indexing._tasks)
    assert (await shelf.look_at(store, file_id))["status"] == "in_progress"
    shelf.clock.time += 11
    await shelf.index()
    assert (await shelf.look_at(store, file_id))["status"] == "completed"


# ------------------------------------------------------------------------- what happens while it is indexed


async def left(shelf: Shelf) -> None:
    """Let the worker find out what became of its files."""
    tasks = [task for _, task in shelf.indexing._tasks.values()]
    shelf.indexing._sleep = lambda seconds: asyncio.sleep(0)
    await shelf.indexing._renew()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_batch_that_is_cancelled_ends_those_under_way(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    done, under_way = await shelf.files("text", "~")
    batch = await shelf.batch(store, done, under_way)
    await shelf.begin(2)
    await until(lambda: len(shelf.indexing._tasks) == 1)
    cancelled = await shelf.cancel(batch)
    assert cancelled["status"] == "cancelled"
    assert cancelled["file_counts"] == {"in_progress": 0, "completed": 1, "failed": 0, "cancelled": 1, "total": 2}
    await left(shelf)
    assert all(task.done() for task in shelf.indexer.tasks)
    assert (await shelf.look_at(store, under_way))["status"] == "cancelled"
    assert await shelf.found(store) == {done}


async def test_a_file_that_is_removed_or_deleted_while_it_is_indexed_stays_gone(shelf: Shelf) -> None:
    removed, deleted = await shelf.files("~", "~")
    store = await shelf.vector_store(removed, deleted)
    await shelf.begin(2)
    await shelf.engine.delete_vector_store_file(store["id"], removed)
    await shelf.engine.delete_file(deleted)
    await left(shelf)
    assert all(task.done() for task in shelf.indexer.tasks)
    assert (await shelf.look(store))["file_counts"]["total"] == 0
    for each in (removed, deleted):
        with pytest.raises(NotFoundError):
            await shelf.look_at(store, each)


async def test_a_store_that_is_deleted_while_its_files_are_indexed_leaves_nothing(shelf: Shelf) -> None:
    store = await shelf.vector_store(*await shelf.files("~", "text"))
    await shelf.begin(2)
    await until(lambda: len(shelf.indexing._tasks) == 1)
    await shelf.engine.delete_vector_store(store["id"])
    await left(shelf)
    assert all(task.done() for task in shelf.indexer.tasks)
    while await shelf.store.sweep_chunks(10):
        pass
    assert await shelf.store.match_words(store["id"], "text", limit=9) == []


async def test_a_file_that_is_attached_again_while_it_is_indexed_begins_anew(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    file_id = await shelf.file("~")
    await shelf.attach(store, file_id)
    await shelf.begin()
    await shelf.attach(store, file_id, attributes={"a": 1})
    await left(shelf)
    assert shelf.indexer.tasks[0].done()
    assert (await shelf.look(store))["file_counts"]["in_progress"] == 1


# ---------------------------------------------------------------------------------- found before it is done


async def words(shelf: Shelf, store: dict[str, Any], word: str) -> int:
    return len(await shelf.store.match_words(store["id"], word, limit=99))


async def found_by_words(shelf: Shelf, store: dict[str, Any], word: str) -> None:
    async with asyncio.timeout(10):
        while not await words(shelf, store, word):  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_a_long_file_is_found_by_its_words_before_its_vectors_are_made(shelf: Shelf) -> None:
    file_id = await shelf.file("#elephant")
    store = await shelf.vector_store(file_id)
    await shelf.begin()
    await found_by_words(shelf, store, "elephant")
    file = await shelf.look_at(store, file_id)
    assert (file["status"], file["usage_bytes"]) == ("in_progress", 0)
    (indexed,) = await shelf.store.indexed_files(store["id"])
    assert indexed.embedder == "", "it has no vectors that could be compared"


async def test_what_is_found_of_a_file_goes_when_it_is_cancelled_or_lost_for_good(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    batch = await shelf.batch(store, await shelf.file("#elephant"))
    await shelf.begin()
    await found_by_words(shelf, store, "elephant")
    await shelf.cancel(batch)
    assert await words(shelf, store, "elephant") == 0
    await left(shelf)
    other = await shelf.vector_store(await shelf.file("#giraffe"))
    for _ in range(indexing.MAX_ATTEMPTS):
        await shelf.begin()
        await found_by_words(shelf, other, "giraffe")
        await shelf.die()
        shelf.clock.time += 11
    await shelf.indexing.claim()
    assert (await shelf.look(other))["file_counts"]["failed"] == 1
    assert await words(shelf, other, "giraffe") == 0


async def test_a_service_without_an_embedder_indexes_words_and_puts_no_vectors_out_of_use(shelf: Shelf) -> None:
    store = await shelf.vector_store(await shelf.file("elephant"))
    await shelf.index()
    shelf.new_engine(Indexer("none"))
    await shelf.indexing.put_back_outdated()
    assert (await shelf.look(store))["status"] == "completed"


# ------------------------------------------------------------------------------------------ indexed again


async def test_a_file_that_is_attached_again_is_found_by_its_new_attributes_and_not_read_again(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    file_id = await shelf.file("hello")
    await shelf.attach(store, file_id, attributes={"a": 1})
    await shelf.index()
    again = await shelf.attach(store, file_id, attributes={"a": 2})
    assert again["status"] == "in_progress"
    await shelf.index()
    assert len(shelf.indexer.begun) == 1
    file = await shelf.look_at(store, file_id)
    assert (file["status"], file["attributes"], file["usage_bytes"]) == ("completed", {"a": 2}, 5)
    of = {"type": "eq", "key": "a", "value": 2}
    assert len((await shelf.search(store, filters=of))["data"]) == 1


async def test_a_file_that_is_attached_again_to_be_cut_otherwise_is_read_again(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    file_id = await shelf.file("hello")
    await shelf.attach(store, file_id)
    await shelf.index()
    strategy = {"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 0}}
    await shelf.attach(store, file_id, chunking_strategy=strategy)
    await shelf.index()
    assert shelf.indexer.asked == [(800, 400), (200, 0)]


async def test_another_embedder_indexes_again_and_says_so(shelf: Shelf) -> None:
    told: list[Any] = []
    detach = telemetry.attach("index.outdated", lambda **told_of: told.append(told_of))
    store = await shelf.vector_store(*await shelf.files("a", "b"))
    await shelf.index()
    shelf.new_engine(Indexer("another"))
    await shelf.indexing.put_back_outdated()
    detach()
    assert told == [{"files": 2, "embedder": "another"}]
    assert (await shelf.look(store))["status"] == "in_progress"
    assert len(await shelf.found(store)) == 2, "what was indexed can be found until then"
    await shelf.index()
    assert (await shelf.look(store))["status"] == "completed"
    assert {each.embedder for each in await shelf.store.indexed_files(store["id"])} == {"another"}


async def test_nothing_is_found_of_a_file_that_fails_when_it_is_indexed_again(shelf: Shelf) -> None:
    file_id = await shelf.file("text")
    store = await shelf.vector_store(file_id)
    await shelf.index()
    shelf.new_engine(Indexer("another"))
    await shelf.indexing.put_back_outdated()
    for _ in range(indexing.MAX_ATTEMPTS):
        await shelf.store.change_store_files(
            "unclaimed", lambda row: indexing.claimed(row, indexing.Lease("gone", -1)), limit=1
        )
    await shelf.indexing.claim()
    assert (await shelf.look_at(store, file_id))["status"] == "failed"
    assert await shelf.found(store) == set()
    assert (await shelf.look(store))["usage_bytes"] == 0
