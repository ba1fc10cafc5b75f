"""The functions on threads and messages against a real service, through both faces."""

from __future__ import annotations

import re
from typing import Any

import pytest

import holdover


def texts(messages: Any) -> list[str]:
    return [each.text for each in messages]


def test_a_thread_lives_from_create_to_delete(client: Any) -> None:
    made = client.create_thread(metadata={"user": "ada"})
    assert isinstance(made, holdover.Thread)
    assert re.fullmatch("thread_[A-Za-z0-9]{24}", made.id)
    assert client.get_thread(made.id).metadata == {"user": "ada"}
    assert made in client.list_threads(limit=100).data
    assert client.modify_thread(made.id, metadata=None).metadata == {}
    assert client.delete_thread(made.id) == holdover.ThreadDeleted(id=made.id)
    with pytest.raises(holdover.NotFoundError, match=f"^No thread found with id '{made.id}'.$"):
        client.get_thread(made.id)


def test_a_message_lives_from_create_to_delete(client: Any) -> None:
    thread = client.create_thread().id
    made = client.create_message(thread, "user", "What is 2 + 2?", metadata={"n": "1"})
    assert isinstance(made, holdover.Message)
    assert (made.text, made.role, made.thread_id, made.status) == ("What is 2 + 2?", "user", thread, "completed")
    assert client.get_message(thread, made.id) == made
    changed = client.modify_message(thread, made.id, metadata={"n": "2"})
    assert (changed.id, changed.metadata, changed.file_ids) == (made.id, {"n": "2"}, [])
    assert client.delete_message(thread, made.id) == holdover.MessageDeleted(id=made.id)
    with pytest.raises(holdover.NotFoundError, match=f"^No message found with id '{made.id}'.$"):
        client.get_message(thread, made.id)


def test_messages_are_listed_in_the_order_of_their_creation(client: Any) -> None:
    said = [str(number) for number in range(7)]
    thread = client.create_thread(messages=[{"role": "user", "content": each} for each in said[:5]]).id
    for each in said[5:]:
        client.create_message(thread, "assistant", each)
    page = client.list_messages(thread, limit=3)
    assert (texts(page.data), page.has_more) == (["6", "5", "4"], True)
    assert texts(client.list_messages(thread, limit=3, order="asc").all_pages()) == said
    assert client.list_messages(thread, run_id="run_none").data == []


def test_a_message_is_a_text_or_parts_and_parts_may_be_records(client: Any) -> None:
    thread = client.create_thread().id
    parts = [{"type": "text", "text": "What is "}, {"type": "text", "text": "this?"}]
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    made = client.create_message(thread, "user", [*parts, image])
    assert made.text == "What is this?"
    assert made.content[2].image_url.detail == "auto"
    assert client.create_message(thread, "user", [made.content[2]]).content == [made.content[2]]


def test_what_is_streamed_to_a_receiver_is_what_is_returned(client: Any) -> None:
    events: list[Any] = []
    thread = client.create_thread().id
    made = client.create_message(thread, "user", "Hello.", stream_to=events.append)
    assert events == [holdover.Data(made), holdover.Finish()]


def test_mistakes_are_told_before_anything_is_sent(client: Any) -> None:
    with pytest.raises(holdover.BadRequestError, match="It is the id of a thread"):
        client.get_message("thread_1", "thread_1")
    with pytest.raises(holdover.BadRequestError, match="Supported values are"):
        client.create_message("thread_1", "system", "Hello.")
    with pytest.raises(holdover.BadRequestError, match=r"messages\[0\].content"):
        client.create_thread(messages=[{"role": "user", "content": []}])
    with pytest.raises(holdover.UnknownOptionError, match="metadata"):
        client.create_message("thread_1", "user", "Hello.", metdata={})


def test_a_message_says_something(client: Any) -> None:
    thread = client.create_thread().id
    for nothing in ("", [{"type": "text", "text": ""}]):
        with pytest.raises(holdover.BadRequestError, match=r"^Message content must be non-empty.$"):
            client.create_message(thread, "user", nothing)
