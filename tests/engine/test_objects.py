"""The engine on a store of its own: what is refused before anything is written, and what is written with what."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from holdover.engine.objects import Engine, RetryKey
from holdover.errors import APIStatusError, BadRequestError, NotFoundError
from holdover.models.catalog import Catalog, Names
from holdover.models.scripted import ScriptedModel
from holdover.store.blobs import FolderBlobs
from holdover.store.sqlite import SQLiteStore
from holdover.wire.assistants import CreateAssistant, ModifyAssistant
from holdover.wire.pages import PageQuery
from holdover.wire.strict import from_plain

MISSING_STORE = "No vector store found with id 'vs_gone'."
NAMES_A_STORE = {"tool_resources": {"file_search": {"vector_store_ids": ["vs_gone"]}}}
NAMES_A_FILE = {"tool_resources": {"code_interpreter": {"file_ids": ["file-gone"]}}}


class Clock:
    """The time, as the test says it is."""

    def __init__(self) -> None:
        self.now = 1_761_861_537.9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def engine(clock: Clock) -> AsyncIterator[Engine]:
    store = await SQLiteStore.open(":memory:")
    yield Engine(store, Catalog(Names(), lambda target: ScriptedModel()), FolderBlobs(None), clock=clock)
    await store.close()


async def create(engine: Engine, retry_key: RetryKey | None = None, **fields: Any) -> dict[str, Any]:
    body = from_plain({"model": "gpt-4o", **fields}, CreateAssistant)
    result: dict[str, Any] = json.loads(await engine.create_assistant(body, retry_key))
    return result


async def modify(engine: Engine, assistant_id: str, **fields: Any) -> dict[str, Any]:
    body = from_plain(fields, ModifyAssistant)
    result: dict[str, Any] = json.loads(await engine.modify_assistant(assistant_id, body))
    return result


async def listed(engine: Engine, **query: Any) -> list[str]:
    page = json.loads(await engine.list_assistants(from_plain(query, PageQuery)))
    return [each["id"] for each in page["data"]]


def told(error: APIStatusError) -> tuple[int, str, str | None, str | None]:
    return error.status, error.message, error.param, error.code


async def test_times_are_whole_seconds_of_the_clock(engine: Engine) -> None:
    assert (await create(engine))["created_at"] == 1_761_861_537


async def test_what_is_created_is_what_is_got_and_listed(engine: Engine) -> None:
    made = await create(engine, name="Tutor")
    assert json.loads(await engine.get_assistant(made["id"])) == made
    assert json.loads(await engine.list_assistants(PageQuery())) == {
        "object": "list",
        "data": [made],
        "first_id": made["id"],
        "last_id": made["id"],
        "has_more": False,
    }


async def test_an_empty_list_has_no_cursors(engine: Engine) -> None:
    assert json.loads(await engine.list_assistants(PageQuery())) == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }


async def test_a_page_has_20_objects_newest_first_unless_asked_otherwise(engine: Engine) -> None:
    made = [(await create(engine))["id"] for _ in range(21)]
    assert await listed(engine) == made[:0:-1]
    assert await listed(engine, limit=3) == made[:-4:-1]
    assert await listed(engine, order="asc", limit=2) == made[:2]
    assert await listed(engine, order="asc", after=made[18]) == made[19:]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (NAMES_A_STORE, (404, MISSING_STORE, None, None)),
        (NAMES_A_FILE, (404, "No such File object: file-gone", "id", None)),
        (
            {"tool_resources": {"file_search": {"vector_stores": [{"file_ids": ["file-gone"]}]}}},
            (404, "No such File object: file-gone", "id", None),
        ),
    ],
    ids=["vector store", "file", "file of a new vector store"],
)
async def test_an_assistant_with_what_does_not_exist_is_not_made(engine: Engine, fields: Any, expected: Any) -> None:
    with pytest.raises(NotFoundError) as missing:
        await create(engine, **fields)
    assert told(missing.value) == expected
    assert await listed(engine) == []


@pytest.mark.parametrize("fields", [NAMES_A_STORE, NAMES_A_FILE], ids=["vector store", "file"])
async def test_a_modification_to_what_does_not_exist_changes_nothing(engine: Engine, fields: Any) -> None:
    made = await create(engine)
    with pytest.raises(NotFoundError):
        await modify(engine, made["id"], name="changed", **fields)
    assert json.loads(await engine.get_assistant(made["id"])) == made


async def test_the_helper_makes_a_store_that_others_can_name(engine: Engine) -> None:
    helper = {"file_search": {"vector_stores": [{"chunking_strategy": {"type": "auto"}, "metadata": {"k": "v"}}]}}
    made = await create(engine, tools=[{"type": "file_search"}], tool_resources=helper)
    resources = made["tool_resources"]
    (store,) = resources["file_search"]["vector_store_ids"]
    assert store.startswith("vs_")
    assert (await create(engine, tool_resources=resources))["tool_resources"] == resources
    other = await create(engine)
    assert (await modify(engine, other["id"], tool_resources=resources))["tool_resources"] == resources


@pytest.mark.parametrize("assistant_id", ["asst_gone", "asst_", "asst_'; DROP TABLE assistants; --"])
async def test_an_unknown_assistant_is_told_in_the_observed_words(engine: Engine, assistant_id: str) -> None:
    expected = (404, f"No assistant found with id '{assistant_id}'.", None, None)
    for attempt in (
        engine.get_assistant(assistant_id),
        engine.modify_assistant(assistant_id, ModifyAssistant()),
        engine.delete_assistant(assistant_id),
        engine.list_assistants(PageQuery(after=assistant_id)),
        engine.list_assistants(PageQuery(before=assistant_id)),
    ):
        with pytest.raises(NotFoundError) as missing:
            await attempt
        assert told(missing.value) == expected


async def test_a_deleted_assistant_is_gone_but_marks_its_place(engine: Engine) -> None:
    first, second, third = [(await create(engine))["id"] for _ in range(3)]
    assert json.loads(await engine.delete_assistant(second)) == {
        "id": second,
        "object": "assistant.deleted",
        "deleted": True,
    }
    assert await listed(engine) == [third, first]
    assert await listed(engine, after=second) == [first]
    assert await listed(engine, before=second) == [third]
    with pytest.raises(NotFoundError):
        await engine.delete_assistant(second)


async def test_a_repeated_creation_is_answered_as_the_first_was(engine: Engine, clock: Clock) -> None:
    key = RetryKey("k", b"content")
    made = await create(engine, key)
    await modify(engine, made["id"], name="changed")
    clock.now += 86_399
    assert await create(engine, key) == made
    assert await listed(engine) == [made["id"]]
    with pytest.raises(BadRequestError) as reused:
        await create(engine, RetryKey("k", b"other content"))
    assert told(reused.value) == (
        400,
        "The Idempotency-Key 'k' was already used for a request with other content.",
        "Idempotency-Key",
        "idempotency_key_reused",
    )
    clock.now += 1
    assert (await create(engine, key))["id"] != made["id"]


async def test_what_was_refused_may_be_repeated(engine: Engine) -> None:
    key = RetryKey("k", b"content")
    with pytest.raises(NotFoundError):
        await create(engine, key, **NAMES_A_STORE)
    made = await create(engine, key)
    assert await listed(engine) == [made["id"]]


async def test_models_are_the_published_ones(engine: Engine) -> None:
    models = json.loads(await engine.list_models())
    assert models["object"] == "list"
    assert {"gpt-4o", "gpt-4o-mini", "gpt-5"} <= {each["id"] for each in models["data"]}
    assert json.loads(await engine.retrieve_model("gpt-4o-mini")) == {
        "id": "gpt-4o-mini",
        "object": "model",
        "created": 1721172741,
        "owned_by": "system",
    }
    with pytest.raises(NotFoundError) as missing:
        await engine.retrieve_model("fake_id")
    assert told(missing.value) == (404, "The model 'fake_id' does not exist", "model", "model_not_found")


async def test_no_model_can_be_deleted(engine: Engine) -> None:
    with pytest.raises(APIStatusError) as refused:
        await engine.delete_model("gpt-4o")
    assert (refused.value.status, refused.value.param) == (403, "model")
    with pytest.raises(NotFoundError):
        await engine.delete_model("fake_id")
