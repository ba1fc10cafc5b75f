"""Threads and messages, asked for by the official ``openai`` package.

As `test_official_sdk.py`, it is run with the newest SDK and, by `test_old_sdk.py`, with one of 2024.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

COUNT = 45


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


def texts(messages: Any) -> list[str]:
    return [each.content[0].text.value for each in messages]


def test_a_thread_lives_from_create_to_delete(sdk: OpenAI) -> None:
    made = sdk.beta.threads.create(metadata={"user": "ada"})
    assert re.fullmatch("thread_[A-Za-z0-9]{24}", made.id)
    assert (made.object, made.metadata) == ("thread", {"user": "ada"})
    read = sdk.beta.threads.retrieve(made.id)
    assert (read.id, read.created_at, read.metadata) == (made.id, made.created_at, made.metadata)
    assert read.tool_resources is not None
    assert read.tool_resources.code_interpreter is not None
    assert read.tool_resources.code_interpreter.file_ids == []
    changed = sdk.beta.threads.update(made.id, metadata={"user": "eve"})
    assert (changed.id, changed.metadata) == (made.id, {"user": "eve"})
    gone = sdk.beta.threads.delete(made.id)
    assert (gone.id, gone.object, gone.deleted) == (made.id, "thread.deleted", True)
    with pytest.raises(openai.NotFoundError, match="No thread found with id"):
        sdk.beta.threads.retrieve(made.id)


def test_a_message_lives_from_create_to_delete(sdk: OpenAI) -> None:
    thread = sdk.beta.threads.create()
    made = sdk.beta.threads.messages.create(thread.id, role="user", content="What is 2 + 2?", metadata={"n": "1"})
    assert re.fullmatch("msg_[A-Za-z0-9]{24}", made.id)
    assert (made.object, made.role, made.thread_id) == ("thread.message", "user", thread.id)
    assert (made.status, made.completed_at, made.run_id, made.assistant_id) == (
        "completed",
        made.created_at,
        None,
        None,
    )
    assert (texts([made]), made.attachments, made.metadata) == (["What is 2 + 2?"], [], {"n": "1"})
    assert sdk.beta.threads.messages.retrieve(made.id, thread_id=thread.id) == made
    changed = sdk.beta.threads.messages.update(made.id, thread_id=thread.id, metadata={"n": "2"})
    assert (changed.id, changed.metadata, changed.content) == (made.id, {"n": "2"}, made.content)
    gone = sdk.beta.threads.messages.delete(made.id, thread_id=thread.id)
    assert (gone.id, gone.object, gone.deleted) == (made.id, "thread.message.deleted", True)
    with pytest.raises(openai.NotFoundError, match="No message found with id"):
        sdk.beta.threads.messages.retrieve(made.id, thread_id=thread.id)


def test_a_message_has_no_field_that_the_sdk_does_not_know_and_lacks_none(sdk: OpenAI) -> None:
    thread = sdk.beta.threads.create()
    made = sdk.beta.threads.messages.create(thread.id, role="user", content="Hello.")
    assert set(made.model_dump(exclude_unset=True)) - {"_request_id"} == set(type(made).model_fields) - {"_request_id"}
    assert type(made).model_validate(made.model_dump()) == made


def test_parts_come_back_as_the_sdk_types_them(sdk: OpenAI) -> None:
    thread = sdk.beta.threads.create()
    made = sdk.beta.threads.messages.create(
        thread.id,
        role="user",
        content=[
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
        ],
    )
    text, image = made.content
    assert (text.type, image.type) == ("text", "image_url")
    assert image.image_url.detail == "auto"  # type: ignore[union-attr]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [100, 20, 7])
def test_paging_gives_the_messages_of_one_second_in_the_order_of_creation(sdk: OpenAI, order: Any, limit: int) -> None:
    said = [str(number) for number in range(COUNT)]
    thread = sdk.beta.threads.create(messages=[{"role": "user", "content": each} for each in said])
    sdk.beta.threads.create(messages=[{"role": "user", "content": "elsewhere"}])
    found = list(sdk.beta.threads.messages.list(thread.id, order=order, limit=limit))
    assert texts(found) == (said if order == "asc" else said[::-1])
    assert len({each.created_at for each in found}) == 1
    part = sdk.beta.threads.messages.list(thread.id, order=order, after=found[2].id, before=found[5].id)
    assert [each.id for each in part.data] == [each.id for each in found[3:5]]


def test_messages_that_cannot_be_are_refused_in_the_hosted_words(sdk: OpenAI) -> None:
    thread = sdk.beta.threads.create()
    create: Callable[..., Any] = sdk.beta.threads.messages.create
    with pytest.raises(openai.BadRequestError, match="Message content must be non-empty"):
        create(thread.id, role="user", content="")
    with pytest.raises(openai.NotFoundError, match="No such File object: file-gone"):
        create(thread.id, role="user", content="x", attachments=[{"file_id": "file-gone", "tools": []}])
    with pytest.raises(openai.NotFoundError, match="No thread found with id 'thread_gone'"):
        create("thread_gone", role="user", content="x")
    with pytest.raises(openai.BadRequestError, match="Expected an ID that begins with 'thread'"):
        sdk.beta.threads.retrieve("undefined")
    assert sdk.beta.threads.messages.list(thread.id).data == []


async def test_the_async_sdk_does_all_of_it(shared_url: str) -> None:
    async with AsyncOpenAI(base_url=shared_url, api_key="sk-any") as client:
        thread = await client.beta.threads.create(messages=[{"role": "assistant", "content": "How can I help?"}])
        said = await client.beta.threads.messages.create(thread.id, role="user", content="Sum.")
        listed = client.beta.threads.messages.list(thread.id, order="asc", limit=1)
        assert texts([each async for each in listed]) == ["How can I help?", "Sum."]
        changed = await client.beta.threads.messages.update(said.id, thread_id=thread.id, metadata={"a": "b"})
        assert changed.metadata == {"a": "b"}
        assert (await client.beta.threads.messages.delete(said.id, thread_id=thread.id)).deleted
        assert (await client.beta.threads.delete(thread.id)).deleted
