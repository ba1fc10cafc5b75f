"""Vector stores, their files and batches: what they echo, what they refuse, how they expire; attachments and runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from tests.engine.shelf import Clock, Shelf

from holdover.engine.searchable import WAIT_S, Searchable, stores_of
from holdover.errors import BadRequestError, NotFoundError
from holdover.store.sqlite import SQLiteStore
from holdover.tools.file_search.protocol import Ranking
from holdover.wire.refusals import Refused
from holdover.wire.runs import CreateRun, Run
from holdover.wire.strict import from_plain
from holdover.wire.threads import ModifyThread
from holdover.wire.vector_stores import DAY_S

STATIC = {"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}}
NO_FILES = {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0}


@pytest.fixture
async def shelf() -> AsyncIterator[Shelf]:
    clock = Clock()
    made = Shelf(await SQLiteStore.open(":memory:", clock=clock), clock)
    yield made
    await made.close()


# -------------------------------------------------------------------------------------------------- stores


async def test_an_empty_store_is_completed_at_once(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    assert list(store) == [
        "id", "object", "created_at", "name", "description", "usage_bytes", "file_counts", "status", "expires_after",
        "expires_at", "last_active_at", "metadata",
    ]  # fmt: skip
    assert (store["object"], store["name"], store["status"]) == ("vector_store", None, "completed")
    assert (store["file_counts"], store["usage_bytes"], store["metadata"]) == (NO_FILES, 0, {})
    assert (store["expires_after"], store["expires_at"], store["last_active_at"]) == (None, None, 1_000_000)
    assert len(store["id"]) == 35
    assert int(store["id"][3:11], 16) == store["created_at"]


async def test_a_store_says_what_its_body_said(shelf: Shelf) -> None:
    body = {"name": "n", "description": "d", "metadata": {"a": "b"}}
    store = await shelf.vector_store(**body, expires_after={"anchor": "last_active_at", "days": 3})
    assert {key: store[key] for key in body} == body
    assert store["expires_after"] == {"anchor": "last_active_at", "days": 3}
    assert store["expires_at"] == store["last_active_at"] + 3 * DAY_S
    assert await shelf.look(store) == store
    assert await shelf.stores() == [store]


async def test_a_modification_keeps_what_it_leaves_out_and_null_empties(shelf: Shelf) -> None:
    store = await shelf.vector_store(name="n", metadata={"a": "b"})
    assert await shelf.modify(store) == store
    changed = await shelf.modify(store, name="m", expires_after={"anchor": "last_active_at", "days": 1})
    assert (changed["name"], changed["metadata"]) == ("m", {"a": "b"})
    assert changed["expires_at"] == store["last_active_at"] + DAY_S
    emptied = await shelf.modify(store, name=None, expires_after=None, metadata=None)
    assert (emptied["name"], emptied["expires_after"], emptied["expires_at"], emptied["metadata"]) == (
        None, None, None, {},
    )  # fmt: skip


async def test_a_deleted_store_leaves_its_files(shelf: Shelf) -> None:
    file_id = await shelf.file()
    store = await shelf.vector_store(file_id)
    deleted = msgspec.json.decode(await shelf.engine.delete_vector_store(store["id"]))
    assert deleted == {"id": store["id"], "object": "vector_store.deleted", "deleted": True}
    assert await shelf.engine.retrieve_file(file_id)
    with pytest.raises(NotFoundError, match=f"No vector store found with id '{store['id']}'"):
        await shelf.look(store)


async def test_a_file_that_cannot_be_searched_is_refused_when_it_is_attached_with_the_hosted_text(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    good, bad, bare = await shelf.file(), await shelf.file(name="a.PNG"), await shelf.file(name="x")
    said = r"Files with extensions \[.png, none\] are not supported for retrieval. See https://platform.openai.com"
    for asked in (shelf.vector_store(good, bad, bare), shelf.batch(store, good, bad, bare)):
        with pytest.raises(BadRequestError, match=said) as caught:
            await asked
        assert (caught.value.param, caught.value.code) == ("file_ids", "unsupported_file")
    with pytest.raises(BadRequestError, match=r"\[.png\]"):
        await shelf.attach(store, bad)
    assert len(await shelf.stores()) == 1
    assert await shelf.of_store(store) == []


async def test_files_that_do_not_exist_are_told_of(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    for asked in (shelf.vector_store("file-x"), shelf.attach(store, "file-x"), shelf.batch(store, "file-x")):
        with pytest.raises(NotFoundError, match="No such File object: file-x"):
            await asked


async def test_tables_of_numbers_can_be_searched(shelf: Shelf) -> None:
    names = ["a.csv", "b.xlsx", "C.PDF"]
    store = await shelf.vector_store(*[await shelf.file(name=each) for each in names])
    assert store["file_counts"]["total"] == 3


# --------------------------------------------------------------------------------------------------- files


async def test_a_file_of_a_store_echoes_auto_in_sizes(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    first, second = await shelf.files("a", "b")
    file = await shelf.attach(store, first, chunking_strategy={"type": "auto"})
    assert list(file) == [
        "id", "object", "usage_bytes", "created_at", "vector_store_id", "status", "last_error", "chunking_strategy",
        "attributes",
    ]  # fmt: skip
    assert (file["id"], file["object"], file["vector_store_id"]) == (first, "vector_store.file", store["id"])
    assert (file["chunking_strategy"], file["attributes"], file["last_error"]) == (STATIC, {}, None)
    attributes = {"s": "x", "i": 3, "f": 0.5, "b": True}
    assert (await shelf.attach(store, second, attributes=attributes))["attributes"] == attributes
    assert [each["id"] for each in await shelf.of_store(store)] == [second, first]


async def test_attributes_are_replaced_at_once_for_lists_and_searches(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    file_id = await shelf.file()
    await shelf.attach(store, file_id, attributes={"a": 1, "b": 2})
    await shelf.index()
    changed = await shelf.label(store, file_id, {"a": "x"})
    assert (changed["attributes"], changed["status"]) == ({"a": "x"}, "completed")
    assert await shelf.look_at(store, file_id) == changed
    assert (await shelf.search(store))["data"][0]["attributes"] == {"a": "x"}
    assert (await shelf.label(store, file_id, None))["attributes"] == {}


async def test_attributes_that_change_while_a_file_is_indexed_are_those_that_are_found(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    file_id = await shelf.file()
    await shelf.attach(store, file_id, attributes={"a": 1})
    await shelf.label(store, file_id, {"a": 2})
    await shelf.index()
    assert (await shelf.search(store))["data"][0]["attributes"] == {"a": 2}


async def test_a_list_shows_files_in_one_state(shelf: Shelf) -> None:
    bad, good = await shelf.files("!no", "text")
    store = await shelf.vector_store(bad, good)
    assert [each["id"] for each in await shelf.of_store(store, filter="in_progress")] == [good, bad]
    await shelf.index()
    assert [each["id"] for each in await shelf.of_store(store, filter="completed")] == [good]
    assert [each["id"] for each in await shelf.of_store(store, filter="failed")] == [bad]
    assert await shelf.of_store(store, filter="cancelled") == []


async def test_what_is_not_in_a_store_is_told_of_by_its_store(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    file_id = await shelf.file()
    said = f"No file found with id '{file_id}' in vector store '{store['id']}'."
    for asked in (
        shelf.look_at(store, file_id),
        shelf.label(store, file_id, {}),
        shelf.engine.delete_vector_store_file(store["id"], file_id),
        shelf.engine.retrieve_vector_store_file_content(store["id"], file_id),
        shelf.of_store(store, after=file_id),
    ):
        with pytest.raises(NotFoundError) as caught:
            await asked
        assert caught.value.message == said
    with pytest.raises(NotFoundError, match="No vector store found with id 'vs_x'"):
        await shelf.look_at({"id": "vs_x"}, file_id)


async def test_a_file_that_is_removed_stays_a_file(shelf: Shelf) -> None:
    file_id = await shelf.file()
    store = await shelf.vector_store(file_id)
    await shelf.index()
    removed = msgspec.json.decode(await shelf.engine.delete_vector_store_file(store["id"], file_id))
    assert removed == {"id": file_id, "object": "vector_store.file.deleted", "deleted": True}
    assert (await shelf.look(store))["file_counts"] == NO_FILES
    assert (await shelf.look(store))["usage_bytes"] == 0
    assert await shelf.found(store) == set()
    assert await shelf.engine.retrieve_file(file_id)


async def test_the_text_of_a_file_can_be_read_once_it_is_indexed(shelf: Shelf) -> None:
    file_id = await shelf.file("hello")
    store = await shelf.vector_store(file_id)

    async def content() -> dict[str, Any]:
        asked = await shelf.engine.retrieve_vector_store_file_content(store["id"], file_id)
        decoded: dict[str, Any] = msgspec.json.decode(asked)
        return decoded

    page = {"object": "vector_store.file_content.page", "has_more": False, "next_page": None}
    assert await content() == {**page, "data": []}
    await shelf.index()
    assert await content() == {**page, "data": [{"type": "text", "text": "hello"}]}


# -------------------------------------------------------------------------------------------------- batches


async def test_a_batch_tells_how_far_it_is(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    batch = await shelf.batch(store, *await shelf.files("a", "!b", "c"), attributes={"k": 1})
    assert list(batch) == ["id", "object", "created_at", "status", "vector_store_id", "file_counts"]
    assert (batch["object"], batch["status"]) == ("vector_store.file_batch", "in_progress")
    assert (batch["id"][:5], len(batch["id"]), batch["id"][17]) == ("vsfb_", 37, "4")
    assert batch["file_counts"] == {**NO_FILES, "in_progress": 3, "total": 3}
    await shelf.index()
    batch = await shelf.look_at_batch(batch)
    assert (batch["status"], batch["file_counts"]) == (
        "completed",
        {**NO_FILES, "completed": 2, "failed": 1, "total": 3},
    )
    assert await shelf.cancel(batch) == batch, "one that is finished stays as it is"


async def test_the_list_of_a_batch_has_only_its_own_without_some_keys(shelf: Shelf) -> None:
    store = await shelf.vector_store(await shelf.file())
    ids = await shelf.files("a", "b")
    batch = await shelf.batch(store, *ids)
    entries = await shelf.of_batch(batch)
    assert [each["id"] for each in entries] == ids[::-1]
    assert entries[0].keys() == {
        "id", "object", "usage_bytes", "created_at", "vector_store_id", "status", "last_error",
    }  # fmt: skip
    assert await shelf.of_batch(batch, filter="completed") == []


async def test_a_batch_of_which_nothing_could_be_indexed_failed(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    batch = await shelf.batch(store, *await shelf.files("!a", "!b"))
    await shelf.index()
    assert (await shelf.look_at_batch(batch))["status"] == "failed"


async def test_files_of_a_batch_may_differ(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    first, second = await shelf.files("a", "b")
    small = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 10}}
    files = [{"file_id": first, "attributes": {"n": 1}}, {"file_id": second, "chunking_strategy": small}]
    await shelf.batch(store, files=files, attributes={"ignored": True})
    assert (await shelf.look_at(store, first))["attributes"] == {"n": 1}
    assert (await shelf.look_at(store, first))["chunking_strategy"] == STATIC
    assert (await shelf.look_at(store, second))["chunking_strategy"] == small


async def test_a_file_that_is_named_twice_is_there_once(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    file_id = await shelf.file()
    batch = await shelf.batch(store, file_id, file_id)
    assert batch["file_counts"]["total"] == 1
    assert len(await shelf.of_store(store)) == 1


async def test_two_batches_with_the_same_files_add_up(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    a, b, c = await shelf.files("a", "b", "c")
    first = await shelf.batch(store, a, b)
    second = await shelf.batch(store, b, c)
    for each in (first, second):
        counts = (await shelf.look_at_batch(each))["file_counts"]
        assert counts.pop("total") == sum(counts.values())
    await shelf.index()
    assert (await shelf.look(store))["file_counts"] == {**NO_FILES, "completed": 3, "total": 3}
    assert (await shelf.look_at_batch(first))["file_counts"]["completed"] == 1
    assert (await shelf.look_at_batch(second))["file_counts"]["completed"] == 2


async def test_a_batch_names_its_files_in_one_way() -> None:
    for body, param in (
        ({}, "file_ids"),
        ({"file_ids": []}, "file_ids"),
        ({"file_ids": ["x"]}, "file_ids[0]"),
        ({"files": [{"file_id": "asst_1"}]}, "files[0].file_id"),
        ({"files": [{"file_id": "file-1", "chunking_strategy": {"type": "none"}}]}, "files[0].chunking_strategy.type"),
        ({"file_ids": ["file-1"] * 2001}, "file_ids"),
        ({"file_ids": ["file-1"], "files": [{"file_id": "file-1"}]}, None),
    ):
        from holdover.wire.vector_stores import CreateFileBatch

        with pytest.raises(Refused) as caught:
            from_plain(body, CreateFileBatch)
        assert caught.value.param == param


# --------------------------------------------------------------------------------------------------- expiry


async def test_a_store_expires_when_its_time_is_over(shelf: Shelf) -> None:
    file_id = await shelf.file()
    store = await shelf.vector_store(file_id, expires_after={"anchor": "last_active_at", "days": 1})
    shelf.clock.time += DAY_S - 1
    assert (await shelf.look(store))["status"] == "in_progress"
    shelf.clock.time += 1
    assert [each["status"] for each in (await shelf.look(store), *await shelf.stores())] == ["expired", "expired"]
    for asked in (shelf.search(store), shelf.attach(store, file_id), shelf.batch(store, file_id)):
        with pytest.raises(BadRequestError, match=f"Vector store '{store['id']}' has expired"):
            await asked
    assert len(await shelf.of_store(store)) == 1
    assert (await shelf.modify(store, expires_after=None))["status"] == "in_progress"


async def test_a_search_keeps_a_store_alive(shelf: Shelf) -> None:
    store = await shelf.vector_store(expires_after={"anchor": "last_active_at", "days": 1})
    shelf.clock.time += 3600
    await shelf.search(store)
    later = await shelf.look(store)
    assert later["last_active_at"] == store["last_active_at"] + 3600
    assert later["expires_at"] == store["expires_at"] + 3600


# --------------------------------------------------------------------------------------------------- search


async def test_a_search_answers_in_the_shape_of_the_reference(shelf: Shelf) -> None:
    file_id = await shelf.file("hello", name="menu.txt")
    store = await shelf.vector_store()
    await shelf.attach(store, file_id, attributes={"a": 1})
    await shelf.index()
    result = {
        "file_id": file_id,
        "filename": "menu.txt",
        "score": 1.0,
        "attributes": {"a": 1},
        "content": [{"type": "text", "text": "found"}],
    }
    assert await shelf.search(store, "food") == {
        "object": "vector_store.search_results.page",
        "search_query": ["food"],
        "data": [result],
        "has_more": False,
        "next_page": None,
    }
    assert (shelf.searcher.asked["queries"], shelf.searcher.asked["limit"]) == (["food"], 10)


async def test_a_search_passes_on_how_it_is_to_rank(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    weights = {"embedding_weight": 2.0, "text_weight": 0.5}
    options = {"ranker": "none", "score_threshold": 0.3, "hybrid_search": weights}
    await shelf.search(store, ["a", "b"], max_num_results=50, ranking_options=options, rewrite_query=True)
    asked = shelf.searcher.asked
    assert (asked["queries"], asked["limit"]) == (["a", "b"], 50)
    assert msgspec.structs.asdict(asked["ranking"]) == {"ranker": "none", "score_threshold": 0.3, **weights}
    nothing = {"embedding_weight": 0, "text_weight": 0}
    await shelf.search(store, ranking_options={"hybrid_search": nothing})
    assert shelf.searcher.asked["ranking"] == Ranking(), "two of nothing are equal"


async def test_a_search_looks_at_files_that_the_filters_accept(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    old, new = await shelf.files("a", "b")
    await shelf.attach(store, old, attributes={"year": 2020, "draft": True})
    await shelf.attach(store, new, attributes={"year": 2024})
    await shelf.index()
    recent = {"type": "gte", "key": "year", "value": 2021}
    assert [each["file_id"] for each in (await shelf.search(store, filters=recent))["data"]] == [new]
    both = {"type": "or", "filters": [recent, {"type": "eq", "key": "draft", "value": True}]}
    assert len((await shelf.search(store, filters=both))["data"]) == 2


# ------------------------------------------------------------------------------- helpers, attachments, runs


async def test_an_assistants_helper_makes_a_store_with_its_files_that_does_not_expire(shelf: Shelf) -> None:
    file_id = await shelf.file()
    helper = {"file_ids": [file_id], "metadata": {"a": "b"}, "chunking_strategy": {"type": "auto"}}
    assistant = await shelf.assistant(tool_resources={"file_search": {"vector_stores": [helper]}})
    (store,) = await shelf.stores()
    assert assistant["tool_resources"] == {"file_search": {"vector_store_ids": [store["id"]]}}
    assert (store["metadata"], store["expires_after"], store["file_counts"]["in_progress"]) == ({"a": "b"}, None, 1)


async def test_a_threads_helper_makes_a_store_that_expires_a_week_after_its_last_use(shelf: Shelf) -> None:
    helper = {"file_ids": [await shelf.file()]}
    thread = await shelf.thread(tool_resources={"file_search": {"vector_stores": [helper]}})
    (store,) = await shelf.stores()
    assert thread["tool_resources"] == {"file_search": {"vector_store_ids": [store["id"]]}}
    assert store["expires_after"] == {"anchor": "last_active_at", "days": 7}


async def test_a_helper_with_a_file_that_cannot_be_searched_makes_nothing(shelf: Shelf) -> None:
    helper = {"file_ids": [await shelf.file(name="a.png")]}
    for make in (shelf.thread, shelf.assistant):
        with pytest.raises(BadRequestError, match=r"extensions \[.png\]"):
            await make(tool_resources={"file_search": {"vector_stores": [helper]}})
    assert await shelf.stores() == []


def for_tool(file_id: str, *tools: str) -> dict[str, Any]:
    return {"file_id": file_id, "tools": [{"type": each} for each in tools]}


async def test_attachments_add_files_to_the_threads_store_and_to_the_code_interpreter(shelf: Shelf) -> None:
    thread = await shelf.thread()
    a, b = await shelf.files("a", "b")
    picture = await shelf.file(name="p.png")
    attachments = [for_tool(a, "file_search"), for_tool(a, "code_interpreter"), for_tool(picture, "code_interpreter")]
    message = await shelf.say(thread, attachments=attachments)
    assert message["attachments"] == attachments
    (store,) = await shelf.stores()
    assert (store["expires_after"], store["file_counts"]["total"]) == ({"anchor": "last_active_at", "days": 7}, 1)
    resources = {
        "code_interpreter": {"file_ids": [a, picture]},
        "file_search": {"vector_store_ids": [store["id"]]},
    }
    assert (await shelf.look_at_thread(thread))["tool_resources"] == resources
    await shelf.say(thread, attachments=[for_tool(b, "file_search", "code_interpreter"), {"file_id": a}])
    assert len(await shelf.stores()) == 1, "a thread has one store at most"
    assert {each["id"] for each in await shelf.of_store(store)} == {a, b}
    resources["code_interpreter"]["file_ids"] = [a, picture, b]
    assert (await shelf.look_at_thread(thread))["tool_resources"] == resources
    await shelf.engine.delete_file(a)
    resources["code_interpreter"]["file_ids"] = [picture, b]
    assert (await shelf.look_at_thread(thread))["tool_resources"] == resources
    assert {each["id"] for each in await shelf.of_store(store)} == {b}


async def test_attachments_of_first_messages_join_the_store_of_the_thread(shelf: Shelf) -> None:
    a, b = await shelf.files("a", "b")
    messages = [{"role": "user", "content": "x", "attachments": [for_tool(a, "file_search")]}]
    helper = {"file_search": {"vector_stores": [{"file_ids": [b]}]}}
    thread = await shelf.thread(messages=messages, tool_resources=helper)
    (store,) = await shelf.stores()
    assert thread["tool_resources"] == {"file_search": {"vector_store_ids": [store["id"]]}}
    assert store["file_counts"]["total"] == 2
    alone = await shelf.thread(messages=messages)
    assert len(await shelf.stores()) == 2
    assert alone["tool_resources"]["file_search"]["vector_store_ids"] != [store["id"]]
    named = await shelf.thread(messages=messages, tool_resources={"file_search": {"vector_store_ids": [store["id"]]}})
    assert named["tool_resources"] == thread["tool_resources"]


async def test_an_attachment_makes_another_store_where_the_threads_is_gone(shelf: Shelf) -> None:
    thread = await shelf.thread()
    a, b = await shelf.files("a", "b")
    await shelf.say(thread, attachments=[for_tool(a, "file_search")])
    (first,) = await shelf.stores()
    await shelf.engine.delete_vector_store(first["id"])
    await shelf.say(thread, attachments=[for_tool(b, "file_search")])
    (second,) = await shelf.stores()
    resources = (await shelf.look_at_thread(thread))["tool_resources"]
    assert resources["file_search"] == {"vector_store_ids": [second["id"]]}


async def test_an_attachment_that_is_refused_adds_no_message(shelf: Shelf) -> None:
    thread = await shelf.thread()
    picture, text = await shelf.file(name="p.png"), await shelf.file()
    with pytest.raises(BadRequestError, match=r"\[.png\]"):
        await shelf.say(thread, attachments=[for_tool(picture, "file_search")])
    many = [for_tool(each, "code_interpreter") for each in await shelf.files(*map(str, range(21)))]
    with pytest.raises(BadRequestError, match="array too long"):
        await shelf.say(thread, attachments=many)
    await shelf.say(thread, attachments=[for_tool(text, "file_search")])
    shelf.clock.time += 8 * DAY_S
    with pytest.raises(BadRequestError, match="has expired"):
        await shelf.say(thread, attachments=[for_tool(text, "file_search")])
    assert (
        len(
            (
                await shelf.store.page("message", limit=9, ascending=True, after=None, before=None, owner=thread["id"])
            ).ids
        )
        == 1
    )


async def test_a_thread_without_attachments_for_tools_reads_as_before(shelf: Shelf) -> None:
    thread = await shelf.thread()
    assert thread["tool_resources"] == {}
    await shelf.say(thread, attachments=[{"file_id": await shelf.file(), "tools": []}])
    assert (await shelf.look_at_thread(thread))["tool_resources"] == {"code_interpreter": {"file_ids": []}}


async def run_of(shelf: Shelf, thread: dict[str, Any], store: dict[str, Any] | None) -> Run:
    resources = {"file_search": {"vector_store_ids": [store["id"]]}} if store else {}
    assistant = await shelf.assistant(instructions="x", tool_resources=resources)
    made = await shelf.engine.create_run(thread["id"], from_plain({"assistant_id": assistant["id"]}, CreateRun))
    assert isinstance(made, bytes)
    return msgspec.json.decode(made, type=Run)


class Sleeps:
    """Counts the seconds that are slept, and does something then."""

    def __init__(self, then: Any = None, after: int = 0) -> None:
        self.slept_s = 0.0
        self.count = 0
        self._then, self._after = then, after

    async def __call__(self, seconds: float) -> None:
        self.slept_s += seconds
        self.count += 1
        if self._then is not None and self.count > self._after:
            await self._then()


async def test_a_run_searches_the_stores_of_its_assistant_and_its_thread_and_keeps_them_alive(shelf: Shelf) -> None:
    of_assistant = await shelf.vector_store(await shelf.file())
    thread = await shelf.thread(tool_resources={"file_search": {"vector_stores": [{}]}})
    run = await run_of(shelf, thread, of_assistant)
    shelf.clock.time += 6 * DAY_S
    of_thread = thread["tool_resources"]["file_search"]["vector_store_ids"]
    sleep = Sleeps()
    assert await stores_of(shelf.store, run, sleep=sleep) == Searchable([of_assistant["id"], *of_thread])
    assert sleep.slept_s == 0, "the assistant's files are not waited for"
    assert {each["last_active_at"] for each in await shelf.stores()} == {1_000_000 + 6 * DAY_S}
    shelf.clock.time += 6 * DAY_S
    assert (await stores_of(shelf.store, run, sleep=sleep)).expired is None
    shelf.clock.time += 7 * DAY_S
    assert await stores_of(shelf.store, run, sleep=sleep) == Searchable([], of_thread[0])


async def test_a_run_waits_for_the_files_of_its_thread_and_not_for_ever(shelf: Shelf) -> None:
    thread = await shelf.thread()
    await shelf.say(thread, attachments=[for_tool(await shelf.file(), "file_search")])
    run = await run_of(shelf, thread, None)
    in_vain = Sleeps()
    assert len((await stores_of(shelf.store, run, sleep=in_vain)).store_ids) == 1
    assert in_vain.slept_s == WAIT_S
    waited = Sleeps(then=shelf.index, after=3)
    assert len((await stores_of(shelf.store, run, sleep=waited)).store_ids) == 1
    assert waited.count == 4


async def test_a_run_does_not_search_a_store_that_is_gone(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    thread = await shelf.thread()
    run = await run_of(shelf, thread, store)
    await shelf.engine.delete_vector_store(store["id"])
    assert await stores_of(shelf.store, run, sleep=Sleeps()) == Searchable([])


async def test_a_threads_resources_can_be_replaced_after_attachments(shelf: Shelf) -> None:
    store = await shelf.vector_store()
    thread = await shelf.thread()
    await shelf.say(thread, attachments=[for_tool(await shelf.file(), "file_search")])
    body = from_plain({"tool_resources": {"file_search": {"vector_store_ids": [store["id"]]}}}, ModifyThread)
    changed = msgspec.json.decode(await shelf.engine.modify_thread(thread["id"], body))
    assert changed["tool_resources"] == {"file_search": {"vector_store_ids": [store["id"]]}}
