"""Files of vector stores as jobs: what every store must do for them. Times are the database's own, so nothing waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.store.conftest import Opener
from tests.store.objects import NOW, listed, page

from holdover.store.protocol import (
    ChangedStoreFile,
    FileColumns,
    Index,
    Lease,
    MissingReference,
    Modification,
    NewChunk,
    NewIndexedFile,
    NewObject,
    NoIndex,
    Reference,
    Relabelled,
    Store,
    StoreFileChange,
    StoreFileColumns,
    StoreFileRow,
    Tally,
    ThreadChange,
)

Change = Callable[[StoreFileRow], StoreFileChange | None]


def vector_store(identifier: str = "vs_1") -> NewObject:
    return NewObject(kind="vector_store", id=identifier, created_at=NOW, document=identifier.encode())


def new_file(identifier: str) -> NewObject:
    columns = FileColumns(digest="d", bytes=1, purpose="assistants")
    return NewObject(kind="file", id=identifier, created_at=NOW, document=identifier.encode(), file=columns)


def store_file(identifier: str, store_id: str = "vs_1", *, batch: str | None = None, size: int = 1) -> NewObject:
    return NewObject(
        kind="vector_store_file",
        id=identifier,
        created_at=NOW,
        document=f"{identifier} in {store_id}".encode(),
        owner=store_id,
        store_file=StoreFileColumns(batch=batch, size=size),
    )


async def attach(store: Store, *identifiers: str, store_id: str = "vs_1", **columns: Any) -> None:
    requires = [Reference("vector_store", store_id), *(Reference("file", each) for each in identifiers)]
    added = [store_file(each, store_id, **columns) for each in identifiers]
    await store.create(added, reply=b"", requires=requires)


@pytest.fixture
async def stocked(store: Store) -> Store:
    """A store that keeps two vector stores and four files, which are in neither."""
    files = [new_file(f"file-{n}") for n in range(4)]
    await store.create([vector_store(), vector_store("vs_2"), *files], reply=b"")
    return store


def to(status: str, **more: Any) -> Change:
    return lambda row: StoreFileChange(status=status, document=status.encode(), **more)


def keep(row: StoreFileRow) -> None:
    return None


async def look(store: Store, file_id: str = "file-0", store_id: str = "vs_1") -> StoreFileRow:
    seen = await store.change_store_file(store_id, file_id, keep)
    assert seen is not None
    return seen.row


async def claim(
    store: Store, worker: str = "w1", *, seconds: float = 60, limit: int = 10
) -> Sequence[ChangedStoreFile]:
    lease = Lease(worker, seconds)
    return await store.change_store_files("unclaimed", to("in_progress", lease=lease), limit=limit)


def index(file_id: str = "file-0", text: str = "a word", *, embedder: str | None = "e", usage_bytes: int = 7) -> Index:
    file = NewIndexedFile(file_id=file_id, file_name="a.txt", attributes={"a": 1}, embedder="e", text=text)
    chunk = NewChunk(text=text, start=0, end=len(text), tokens=2, vector=b"\0\0")
    return Index(file=file, chunks=[chunk], embedder=embedder, chunking="800/400", usage_bytes=usage_bytes)


async def found(store: Store, word: str = "word", store_id: str = "vs_1") -> int:
    return len(await store.match_words(store_id, word, limit=9))


async def test_a_file_that_is_added_is_to_be_indexed(stocked: Store) -> None:
    await attach(stocked, "file-0", batch="vsfb_1")
    row = await look(stocked)
    assert (row.id, row.store_id, row.document, row.status) == ("file-0", "vs_1", b"file-0 in vs_1", "in_progress")
    assert (row.batch, row.usage_bytes, row.epoch, row.attempts) == ("vsfb_1", 0, 0, 0)
    assert (row.worker, row.lease_until, row.embedder, row.chunking) == (None, None, None, None)
    assert abs(row.now - stocked.now()) < 60


async def test_one_file_is_in_many_stores_and_each_has_its_own_of_it(stocked: Store) -> None:
    await attach(stocked, "file-0")
    await attach(stocked, "file-0", store_id="vs_2")
    await stocked.change_store_file("vs_1", "file-0", to("failed"))
    assert [(await look(stocked, store_id=each)).status for each in ("vs_1", "vs_2")] == ["failed", "in_progress"]
    assert await stocked.get("vector_store_file", "file-0", owner="vs_1") == b"failed"
    assert await stocked.get("vector_store_file", "file-0", owner="vs_2") == b"file-0 in vs_2"
    assert await stocked.delete("vector_store_file", "file-0", owner="vs_1")
    assert await listed(stocked, kind="vector_store_file", owner="vs_1") == []
    assert await listed(stocked, kind="vector_store_file", owner="vs_2") == ["file-0"]


async def test_what_does_not_exist_cannot_be_added(stocked: Store) -> None:
    for file_id, store_id, missing in (("file-9", "vs_1", "file-9"), ("file-0", "vs_9", "vs_9")):
        with pytest.raises(MissingReference) as caught:
            await attach(stocked, "file-1", file_id, store_id=store_id)
        assert caught.value.reference.id == missing
    assert await listed(stocked, kind="vector_store_file", owner="vs_1") == []


async def test_thousands_are_added_in_their_order(store: Store) -> None:
    names = [f"file-{n:04}" for n in range(2000)]
    await store.create([vector_store(), *map(new_file, names)], reply=b"")
    await attach(store, *names, batch="vsfb_1", size=len(names))
    assert await listed(store, kind="vector_store_file", owner="vs_1", limit=100) == names[:100]
    assert await listed(store, kind="vector_store_file", owner="vs_1", after=names[1900], limit=100) == names[1901:]
    assert await store.count_store_files("batch", ["vsfb_1"]) == {"vsfb_1": [Tally("in_progress", 2000, 0)]}


async def test_a_list_shows_those_of_a_batch_or_in_a_state(stocked: Store) -> None:
    await attach(stocked, "file-0", "file-1", batch="vsfb_1")
    await attach(stocked, "file-2", "file-3", batch="vsfb_2")
    for each in ("file-1", "file-2"):
        await stocked.change_store_file("vs_1", each, to("completed"))
    of = {"kind": "vector_store_file", "owner": "vs_1"}
    assert await listed(stocked, **of) == ["file-0", "file-1", "file-2", "file-3"]
    assert await listed(stocked, **of, batch="vsfb_1") == ["file-0", "file-1"]
    assert await listed(stocked, **of, status="completed") == ["file-1", "file-2"]
    assert await listed(stocked, **of, status="completed", batch="vsfb_2", ascending=False) == ["file-2"]


async def test_a_file_that_was_removed_marks_its_place_in_its_own_store(stocked: Store) -> None:
    names = ["file-0", "file-1", "file-2"]
    for each in ("vs_1", "vs_2"):
        await attach(stocked, *(names if each == "vs_1" else reversed(names)), store_id=each)
        await stocked.delete("vector_store_file", "file-1", owner=each)
    assert await listed(stocked, kind="vector_store_file", owner="vs_1", after="file-1") == ["file-2"]
    assert await listed(stocked, kind="vector_store_file", owner="vs_2", after="file-1") == ["file-0"]


async def test_a_file_that_is_deleted_leaves_all_stores_and_marks_its_places(stocked: Store) -> None:
    for each in ("vs_1", "vs_2"):
        await attach(stocked, "file-0", "file-1", store_id=each)
        await stocked.change_store_file(each, "file-0", to("completed", index=index()))
    assert [await found(stocked, store_id=each) for each in ("vs_1", "vs_2")] == [1, 1]
    assert await stocked.delete_file("file-0", lambda kind, document: document)
    for each in ("vs_1", "vs_2"):
        assert await listed(stocked, kind="vector_store_file", owner=each, after="file-0") == ["file-1"]
        assert await found(stocked, store_id=each) == 0
    assert await stocked.count_store_files("store", ["vs_1"]) == {"vs_1": [Tally("in_progress", 1, 0)]}


async def test_a_store_that_is_deleted_takes_its_files_batches_and_chunks_with_it(stocked: Store) -> None:
    batch = NewObject(kind="batch", id="vsfb_1", created_at=NOW, document=b"{}", owner="vs_1")
    await stocked.create([batch], reply=b"")
    await attach(stocked, "file-0", batch="vsfb_1")
    await stocked.change_store_file("vs_1", "file-0", to("completed", index=index()))
    assert await stocked.delete("vector_store", "vs_1")
    assert await stocked.change_store_file("vs_1", "file-0", keep) is None
    assert await stocked.get("batch", "vsfb_1", owner="vs_1") is None
    assert await stocked.get("file", "file-0") == b"file-0"
    assert await stocked.sweep_chunks(100) == 1
    assert await stocked.sweep_chunks(100) == 0


async def test_files_that_are_to_be_indexed_are_claimed_once_smallest_request_first(stocked: Store) -> None:
    await attach(stocked, "file-0", "file-1", size=2)
    await attach(stocked, "file-2")
    await attach(stocked, "file-3", store_id="vs_2")
    first = await claim(stocked, limit=3)
    assert [(each.row.id, each.epoch) for each in first] == [("file-2", 1), ("file-3", 1), ("file-0", 1)]
    row = await look(stocked, "file-2")
    assert (row.worker, row.epoch) == ("w1", 1)
    assert row.lease_until is not None
    assert 0 < row.lease_until - row.now <= 60
    rest = await asyncio.gather(*(claim(stocked, f"w{n}") for n in range(2, 6)))
    assert [each.row.id for claimed in rest for each in claimed] == ["file-1"]
    assert await claim(stocked) == []


async def test_a_lease_that_ran_out_makes_a_file_claimable_and_its_number_of_attempts_is_kept(stocked: Store) -> None:
    await attach(stocked, "file-0")
    await claim(stocked, seconds=-1)
    (again,) = await stocked.change_store_files(
        "unclaimed", to("in_progress", lease=Lease("w2", 60), attempts=1), limit=9
    )
    assert (again.row.worker, again.row.epoch, again.epoch) == ("w1", 1, 2)
    assert (await look(stocked)).attempts == 1


async def test_only_who_holds_the_lease_renews_it(stocked: Store) -> None:
    await attach(stocked, "file-0", "file-1", "file-2", "file-3")
    held = {each.row.seq: each.epoch for each in await claim(stocked)}
    kept = next(iter(held))
    await stocked.delete("vector_store_file", "file-1", owner="vs_1")
    await stocked.change_store_file("vs_1", "file-2", to("cancelled", lease="keep"))
    await attach(stocked, "file-3")
    assert await stocked.renew_store_files("w1", held, 60) == {kept}
    assert await stocked.renew_store_files("w2", held, 60) == set()
    assert await stocked.renew_store_files("w1", {kept: 7}, 60) == set()


async def test_a_file_that_is_added_again_begins_anew_and_is_found_as_before_until_then(stocked: Store) -> None:
    await attach(stocked, "file-0", "file-1", batch="vsfb_1")
    await claim(stocked)
    await stocked.change_store_file("vs_1", "file-0", to("completed", attempts=2, index=index()))
    await attach(stocked, "file-0", batch="vsfb_2")
    row = await look(stocked)
    assert (row.status, row.epoch, row.attempts, row.worker, row.lease_until) == ("in_progress", 2, 0, None, None)
    assert (row.batch, row.document, row.embedder, row.usage_bytes) == ("vsfb_2", b"file-0 in vs_1", "e", 7)
    assert await found(stocked) == 1
    assert await listed(stocked, kind="vector_store_file", owner="vs_1") == ["file-0", "file-1"]
    assert await stocked.count_store_files("batch", ["vsfb_1", "vsfb_2"]) == {
        "vsfb_1": [Tally("in_progress", 1, 0)],
        "vsfb_2": [Tally("in_progress", 1, 7)],
    }


async def test_a_file_and_what_is_found_of_it_change_together(stocked: Store) -> None:
    await attach(stocked, "file-0")
    changes: list[tuple[Any, int, int, str | None]] = [
        (index(text="first", embedder=None), 1, 7, None),
        (index(text="first word", usage_bytes=9), 1, 9, "e"),
        (Relabelled({"a": 2}), 1, 9, "e"),
        (None, 1, 9, "e"),
        (NoIndex(), 0, 0, None),
    ]
    for change, hits, usage_bytes, embedder in changes:
        await stocked.change_store_file("vs_1", "file-0", to("completed", index=change))
        row = await look(stocked)
        assert (await found(stocked, "first"), row.usage_bytes, row.embedder) == (hits, usage_bytes, embedder)
        if isinstance(change, Relabelled):
            assert [dict(each.attributes) for each in await stocked.indexed_files("vs_1")] == [{"a": 2}]


async def test_a_change_that_is_refused_changes_nothing(stocked: Store) -> None:
    await attach(stocked, "file-0")

    def refuse(row: StoreFileRow) -> StoreFileChange:
        raise LookupError(row.id)

    with pytest.raises(LookupError):
        await stocked.change_store_file("vs_1", "file-0", refuse)
    assert await stocked.change_store_file("vs_1", "file-1", to("failed")) is None
    assert (await look(stocked)).document == b"file-0 in vs_1"


async def test_states_are_counted_by_store_and_by_batch(stocked: Store) -> None:
    await attach(stocked, "file-0", "file-1", "file-2", batch="vsfb_1")
    await attach(stocked, "file-3")
    await stocked.change_store_file("vs_1", "file-0", to("completed", index=index(usage_bytes=5)))
    await stocked.change_store_file("vs_1", "file-1", to("completed", index=index("file-1", usage_bytes=6)))
    counted = await stocked.count_store_files("store", ["vs_1", "vs_2", "vs_9"])
    assert {key: set(map(repr, each)) for key, each in counted.items()} == {
        "vs_1": {repr(Tally("completed", 2, 11)), repr(Tally("in_progress", 2, 0))}
    }
    of_batch = await stocked.count_store_files("batch", ["vsfb_1"])
    assert sum(each.count for each in of_batch["vsfb_1"]) == 3


async def test_those_of_a_batch_that_are_in_progress_are_changed_together(stocked: Store) -> None:
    await attach(stocked, "file-0", "file-1", batch="vsfb_1")
    await attach(stocked, "file-2", batch="vsfb_2")
    await stocked.change_store_file("vs_1", "file-0", to("completed"))
    changed = await stocked.change_store_files("batch", to("cancelled"), of="vsfb_1", limit=10)
    assert [each.row.id for each in changed] == ["file-1"]
    assert [(await look(stocked, f"file-{n}")).status for n in range(3)] == ["completed", "cancelled", "in_progress"]


async def test_those_that_another_embedder_indexed_are_found(stocked: Store) -> None:
    await attach(stocked, "file-0", "file-1", "file-2")
    await stocked.change_store_file("vs_1", "file-0", to("completed", index=index()))
    await stocked.change_store_file("vs_1", "file-1", to("completed", index=index("file-1", embedder="f")))
    changed = await stocked.change_store_files("stale", to("in_progress"), of="e", limit=10)
    assert [each.row.id for each in changed] == ["file-1"]
    assert await stocked.change_store_files("stale", to("in_progress"), of="e", limit=10) == []


async def test_many_documents_are_read_at_once(stocked: Store) -> None:
    read = await stocked.get_many("file", ["file-1", "file-9", "file-0", "file-0"])
    assert read == {"file-0": b"file-0", "file-1": b"file-1"}


async def test_what_is_added_to_a_thread_may_change_the_thread(stocked: Store) -> None:
    thread = NewObject(kind="thread", id="thread_1", created_at=NOW, document=b"before")
    await stocked.create([thread], reply=b"")
    message = NewObject(kind="message", id="msg_1", created_at=NOW, document=b"{}", owner="thread_1")
    seen: list[bytes] = []

    def change(document: bytes) -> ThreadChange:
        seen.append(document)
        added = [vector_store("vs_3"), store_file("file-0", "vs_3")]
        return ThreadChange(modification=Modification(b"after"), added=added, requires=[Reference("file", "file-0")])

    await stocked.create([message], reply=b"", idle_thread="thread_1", on_thread=change)
    assert seen == [b"before"]
    assert await stocked.get("thread", "thread_1") == b"after"
    assert await listed(stocked, kind="vector_store_file", owner="vs_3") == ["file-0"]


async def test_nothing_is_written_where_what_the_thread_would_need_is_missing(stocked: Store) -> None:
    thread = NewObject(kind="thread", id="thread_1", created_at=NOW, document=b"before")
    await stocked.create([thread], reply=b"")
    message = NewObject(kind="message", id="msg_1", created_at=NOW, document=b"{}", owner="thread_1")

    def change(document: bytes) -> ThreadChange:
        return ThreadChange(modification=Modification(b"after"), requires=[Reference("file", "file-9")])

    with pytest.raises(MissingReference):
        await stocked.create([message], reply=b"", idle_thread="thread_1", on_thread=change)
    assert await stocked.get("thread", "thread_1") == b"before"
    assert await stocked.get("message", "msg_1", owner="thread_1") is None


async def test_files_that_were_claimed_survive_and_can_be_claimed_again_once_their_lease_is_over(
    open_store: Opener, tmp_path: Path
) -> None:
    store = await open_store(tmp_path)
    await store.create([vector_store(), new_file("file-0")], reply=b"")
    await attach(store, "file-0")
    await claim(store, seconds=0.0)
    await store.close()
    store = await open_store(tmp_path)
    (again,) = await claim(store)
    assert (again.row.lease_until is not None, again.epoch) == (True, 2)
    await store.close()


async def test_lists_stay_whole_while_many_add_to_one_store(store: Store) -> None:
    """Two that add at the same time are seen by who pages upwards in the order in which they are listed later."""
    names = [f"file-{n:02}" for n in range(40)]
    await store.create([vector_store(), *map(new_file, names)], reply=b"")
    seen: list[str] = []

    async def watch() -> None:
        while len(seen) < len(names):
            seen.extend(
                (await page(store, kind="vector_store_file", owner="vs_1", after=seen[-1] if seen else None)).ids
            )
            await asyncio.sleep(0)

    async with asyncio.timeout(30):
        await asyncio.gather(watch(), *(attach(store, each) for each in names))
    assert sorted(seen) == names
