"""What bodies of threads and messages become: the echoes and defaults of the recorded exchanges."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from tests.wire.strategies import plain, quick

from holdover.engine.messages import new_message
from holdover.engine.threads import as_read, modified_thread, new_thread
from holdover.errors import BadRequestError
from holdover.wire.messages import CreateMessage, Message
from holdover.wire.strict import from_plain
from holdover.wire.threads import CreateThread, ModifyThread, Thread
from holdover.wire.tools import FileSearchResources, ToolResources

NOW = 1_761_861_622


def created(**fields: Any) -> Thread:
    return new_thread(from_plain(fields, CreateThread), id="thread_1", created_at=NOW, resources=ToolResources())


def modified(thread: Thread, **fields: Any) -> Thread:
    return modified_thread(thread, from_plain(fields, ModifyThread))


def message(body: Any) -> Message:
    return new_message(from_plain(body, CreateMessage), id="msg_1", thread_id="thread_1", created_at=NOW)


def test_reading_a_thread_without_resources_shows_an_empty_list_of_the_interpreter() -> None:
    """Source: dotnet_assistants_BasicThreadOperationsWork."""
    document = msgspec.json.encode(created())
    assert document.endswith(b'"metadata":{},"tool_resources":{}}')
    assert as_read(document) == document.replace(
        b'"tool_resources":{}', b'"tool_resources":{"code_interpreter":{"file_ids":[]}}'
    )


def test_reading_a_thread_with_resources_shows_them_alone() -> None:
    resources = ToolResources(file_search=FileSearchResources(vector_store_ids=["vs_1"]))
    document = msgspec.json.encode(msgspec.structs.replace(created(), tool_resources=resources))
    assert as_read(document) == document


def test_metadata_cannot_be_taken_for_resources() -> None:
    document = msgspec.json.encode(created(metadata={"a": '"tool_resources":{}}'}))
    assert msgspec.json.decode(as_read(document))["metadata"] == {"a": '"tool_resources":{}}'}


def test_a_modification_keeps_what_it_leaves_out_and_null_empties() -> None:
    thread = created(metadata={"a": "b"})
    assert modified(thread) == thread
    assert modified(thread, metadata={"c": "d"}).metadata == {"c": "d"}
    assert modified(thread, metadata=None) == created()


@given(plain(CreateMessage))
@quick
def test_a_message_says_what_its_body_said(body: Any) -> None:
    try:
        made = message(body)
    except BadRequestError:
        assume(False)
    assert made.role == body["role"]
    content = body["content"]
    said = content if isinstance(content, str) else "".join(each.get("text", "") for each in content)
    assert made.text == said
    assert made.metadata == (body.get("metadata") or {})
    assert [each.to_dict() for each in made.attachments] == (body.get("attachments") or [])
    assert msgspec.json.decode(msgspec.json.encode(made), type=Message) == made


def test_a_message_is_complete_as_soon_as_it_is_made() -> None:
    made = message({"role": "assistant", "content": "x"})
    assert (made.status, made.completed_at, made.run_id, made.assistant_id) == ("completed", NOW, None, None)


@pytest.mark.parametrize("content", ["", [{"type": "text", "text": ""}] * 2])
def test_a_message_that_says_nothing_is_none(content: Any) -> None:
    with pytest.raises(BadRequestError, match="non-empty"):
        message({"role": "user", "content": content})
    assert message({"role": "user", "content": " "}).text == " "
