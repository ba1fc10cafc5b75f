"""Vector stores, their files and batches, asked for by the official ``openai`` package, with real embeddings.

As `test_official_sdk.py`, it is run with the newest SDK and, by `test_old_sdk.py`, with one of 2024, which has them
under ``beta`` and does not know searches and attributes.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

POLL_MS = 50
ENDINGS = "txt md html json py js ts css c cpp cs go java php rb sh tex csv txt md"
ANIMALS = "cat dog owl fox bee ant elk cow pig hen rat bat eel ape gnu yak emu koi asp tit"
PLACES = "Rome Bonn Oslo Bern Kyiv Riga Lima Quito Cairo Accra Delhi Hanoi Tokyo Seoul Perth Suva Apia Sofia Nice Tours"
#: Twenty files of many kinds: their names, and what they say.
SAID = {
    f"{number:02}.{ending}": f"Note {number}: the {animal} of {place} sleeps."
    for number, (ending, animal, place) in enumerate(zip(ENDINGS.split(), ANIMALS.split(), PLACES.split(), strict=True))
}


@pytest.fixture(autouse=True)
def quiet_deprecations() -> Iterator[None]:
    """The newest SDK marks the Assistants methods as deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@pytest.fixture
def sdk(shared_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=shared_url, api_key="sk-any", max_retries=0) as client:
        yield client


def stores(sdk: Any) -> Any:
    """The vector stores of this SDK, wherever it keeps them."""
    return sdk.vector_stores if hasattr(sdk, "vector_stores") else sdk.beta.vector_stores


def is_old(sdk: Any) -> bool:
    return not hasattr(sdk, "vector_stores")


def named(name: str, text: str) -> Any:
    return name, io.BytesIO(text.encode())


def upload(sdk: OpenAI, name: str = "a.txt", text: str = "Some text.") -> str:
    return sdk.files.create(file=named(name, text), purpose="assistants").id


def test_a_vector_store_lives_from_create_to_delete(sdk: OpenAI) -> None:
    made = stores(sdk).create(name="n", expires_after={"anchor": "last_active_at", "days": 2}, metadata={"a": "b"})
    assert re.fullmatch("vs_[0-9a-f]{32}", made.id)
    assert (made.object, made.name, made.status, made.usage_bytes) == ("vector_store", "n", "completed", 0)
    assert made.file_counts.total == 0
    assert made.expires_at == made.last_active_at + 2 * 86_400
    assert stores(sdk).retrieve(made.id) == made
    changed = stores(sdk).update(made.id, name="m", metadata={})
    assert (changed.name, changed.metadata, changed.expires_after) == ("m", {}, made.expires_after)
    assert changed.id in [each.id for each in stores(sdk).list(limit=100)]
    gone = stores(sdk).delete(made.id)
    assert (gone.id, gone.object, gone.deleted) == (made.id, "vector_store.deleted", True)
    with pytest.raises(openai.NotFoundError, match="No vector store found with id"):
        stores(sdk).retrieve(made.id)


def test_twenty_files_of_many_kinds_are_uploaded_indexed_and_found(sdk: OpenAI) -> None:
    store = stores(sdk).create()
    batch = stores(sdk).file_batches.upload_and_poll(
        store.id, files=[named(*each) for each in SAID.items()], poll_interval_ms=POLL_MS
    )
    counts = batch.file_counts
    assert (batch.status, counts.total, counts.completed, counts.failed) == ("completed", 20, 20, 0)
    files = list(stores(sdk).files.list(store.id, filter="completed", limit=7))
    assert len(files) == 20
    assert all(each.usage_bytes > 0 and each.last_error is None for each in files)
    assert list(stores(sdk).files.list(store.id, filter="failed")) == []
    of_batch = list(stores(sdk).file_batches.list_files(batch.id, vector_store_id=store.id, limit=7))
    assert [each.id for each in of_batch] == [each.id for each in files]
    assert stores(sdk).retrieve(store.id).status == "completed"
    if not is_old(sdk):
        for query, name in (("Where does the owl sleep?", "02.html"), ("something about Tokyo", "12.java")):
            found = stores(sdk).search(store.id, query=query, max_num_results=3)
            assert found.data[0].filename == name
            assert SAID[name] in found.data[0].content[0].text
            assert len(found.data) <= 3


def test_a_file_is_uploaded_and_waited_for(sdk: OpenAI) -> None:
    store = stores(sdk).create()
    file = stores(sdk).files.upload_and_poll(
        vector_store_id=store.id, file=named("menu.txt", "Cake."), poll_interval_ms=POLL_MS
    )
    assert (file.object, file.status, file.vector_store_id) == ("vector_store.file", "completed", store.id)
    assert file.chunking_strategy.to_dict() == {
        "type": "static",
        "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400},
    }
    assert stores(sdk).files.retrieve(file.id, vector_store_id=store.id) == file
    gone = stores(sdk).files.delete(file.id, vector_store_id=store.id)
    assert (gone.object, gone.deleted) == ("vector_store.file.deleted", True)
    assert sdk.files.retrieve(file.id).filename == "menu.txt"
    with pytest.raises(openai.NotFoundError, match="No file found with id"):
        stores(sdk).files.retrieve(file.id, vector_store_id=store.id)


def test_a_file_that_cannot_be_read_says_why(sdk: OpenAI) -> None:
    store = stores(sdk).create()
    file = stores(sdk).files.create_and_poll(
        upload(sdk, "broken.pdf", "no PDF"), vector_store_id=store.id, poll_interval_ms=POLL_MS
    )
    assert file.status == "failed"
    assert file.last_error.code in ("invalid_file", "unsupported_file")
    assert file.last_error.message


def test_a_file_that_cannot_be_searched_is_refused_when_it_is_attached(sdk: OpenAI) -> None:
    store = stores(sdk).create()
    with pytest.raises(openai.BadRequestError) as caught:
        stores(sdk).files.create(store.id, file_id=upload(sdk, "a.png"))
    assert caught.value.code == "unsupported_file"
    assert "Files with extensions [.png] are not supported for retrieval." in str(caught.value)


def test_a_batch_can_be_cancelled(sdk: OpenAI) -> None:
    store = stores(sdk).create()
    batch = stores(sdk).file_batches.create(store.id, file_ids=[upload(sdk) for _ in range(3)])
    assert re.fullmatch("vsfb_[0-9a-f]{32}", batch.id)
    assert (batch.file_counts.total, batch.vector_store_id) == (3, store.id)
    cancelled = stores(sdk).file_batches.cancel(batch.id, vector_store_id=store.id)
    assert cancelled.status in ("cancelled", "completed")
    assert cancelled.file_counts.in_progress == 0


def test_searches_are_filtered_by_attributes(sdk: OpenAI) -> None:
    if is_old(sdk):
        return
    store = sdk.vector_stores.create()
    for year, draft in ((2022, True), (2024, False)):
        file = sdk.vector_stores.files.create_and_poll(
            upload(sdk, f"{year}.txt", f"The report of {year}."),
            vector_store_id=store.id,
            attributes={"year": year, "draft": draft},
            poll_interval_ms=POLL_MS,
        )
        assert file.attributes == {"year": year, "draft": draft}

    def found(filters: Any) -> set[str]:
        return {each.filename for each in sdk.vector_stores.search(store.id, query="report", filters=filters)}

    assert found({"type": "gte", "key": "year", "value": 2023}) == {"2024.txt"}
    assert found({"type": "in", "key": "year", "value": [2022, 1999]}) == {"2022.txt"}
    either = [{"type": "eq", "key": "draft", "value": True}, {"type": "gt", "key": "year", "value": 2023}]
    assert found({"type": "or", "filters": either}) == {"2022.txt", "2024.txt"}
    assert found({"type": "and", "filters": either}) == set()
    changed = sdk.vector_stores.files.update(file.id, vector_store_id=store.id, attributes={"year": 2030})
    assert changed.attributes == {"year": 2030}
    assert found({"type": "eq", "key": "year", "value": 2030}) == {"2024.txt"}
    (part,) = sdk.vector_stores.files.content(file.id, vector_store_id=store.id).data
    assert part.text == "The report of 2024."


def test_attachments_and_helpers_make_stores(sdk: OpenAI) -> None:
    file_id = upload(sdk)
    thread: Any = sdk.beta.threads.create(
        messages=[
            {"role": "user", "content": "x", "attachments": [{"file_id": file_id, "tools": [{"type": "file_search"}]}]}
        ]
    )
    (store_id,) = thread.tool_resources.file_search.vector_store_ids
    store = stores(sdk).retrieve(store_id)
    assert (store.file_counts.total, store.expires_after.days) == (1, 7)
    assistant: Any = sdk.beta.assistants.create(
        model="gpt-4o",
        tools=[{"type": "file_search"}],
        tool_resources={"file_search": {"vector_stores": [{"file_ids": [file_id]}]}},
    )
    (store_id,) = assistant.tool_resources.file_search.vector_store_ids
    assert stores(sdk).retrieve(store_id).expires_after is None
    sdk.files.delete(file_id)
    assert [each.file_counts.total for each in map(stores(sdk).retrieve, (store.id, store_id))] == [0, 0]


async def test_the_async_client_finds_the_same(shared_url: str) -> None:
    async with AsyncOpenAI(base_url=shared_url, api_key="sk-any", max_retries=0) as sdk:
        store = await stores(sdk).create(name="n")
        batch = await stores(sdk).file_batches.upload_and_poll(
            store.id, files=[named("a.txt", "A."), named("b.txt", "B.")], poll_interval_ms=POLL_MS
        )
        assert batch.file_counts.completed == 2
        assert [each.id async for each in stores(sdk).files.list(store.id)]
