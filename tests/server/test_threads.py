"""Threads and messages over HTTP: the exact answers, and the words of what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.conftest import Service

from .talk import Answer, ask

HELLO = {"role": "user", "content": "Hello."}


def made(service: Service, body: Any = None) -> str:
    """Create a thread and return its path."""
    return f"/v1/threads/{ask(service, 'POST', '/v1/threads', body).json()['id']}"


@pytest.fixture(scope="module")
def thread(shared_service: Service) -> str:
    return made(shared_service)


def said(answer: Answer) -> tuple[int, str, str | None, str | None]:
    return answer.status, answer.error["message"], answer.error["param"], answer.error["code"]


@pytest.mark.parametrize("body", [None, {}, {"messages": [], "metadata": None, "tool_resources": None}])
def test_a_thread_is_answered_as_recorded(shared_service: Service, body: Any) -> None:
    """An empty list is shown when a thread is read, and then only.

    Source: dotnet_assistants_BasicThreadOperationsWork.
    """
    created = ask(shared_service, "POST", "/v1/threads", body)
    shown = created.json()
    path = f"/v1/threads/{shown['id']}"
    expected = {"id": shown["id"], "object": "thread", "created_at": shown["created_at"], "metadata": {}}
    assert json.dumps(shown) == json.dumps({**expected, "tool_resources": {}})
    read = {"code_interpreter": {"file_ids": []}}
    assert json.dumps(ask(shared_service, "GET", path).json()) == json.dumps({**expected, "tool_resources": read})
    changed = ask(shared_service, "POST", path, {"metadata": {"a": "b"}}).json()
    assert json.dumps(changed) == json.dumps({**expected, "metadata": {"a": "b"}, "tool_resources": {}})
    deleted = ask(shared_service, "DELETE", path)
    assert deleted.json() == {"id": shown["id"], "object": "thread.deleted", "deleted": True}
    assert said(ask(shared_service, "GET", path)) == (404, f"No thread found with id '{shown['id']}'.", None, None)


def test_a_message_is_answered_as_recorded_with_the_keys_that_the_reference_requires(
    shared_service: Service, thread: str
) -> None:
    answer = ask(shared_service, "POST", f"{thread}/messages", HELLO).json()
    assert json.dumps(answer) == json.dumps(
        {
            "id": answer["id"],
            "object": "thread.message",
            "created_at": answer["created_at"],
            "assistant_id": None,
            "thread_id": thread.rpartition("/")[2],
            "run_id": None,
            "status": "completed",
            "incomplete_details": None,
            "incomplete_at": None,
            "completed_at": answer["created_at"],
            "role": "user",
            "content": [{"type": "text", "text": {"value": "Hello.", "annotations": []}}],
            "attachments": [],
            "metadata": {},
        }
    )
    path = f"{thread}/messages/{answer['id']}"
    assert ask(shared_service, "GET", path).json() == answer
    assert ask(shared_service, "GET", f"{thread}/messages?limit=1").json() == {
        "object": "list",
        "data": [answer],
        "first_id": answer["id"],
        "last_id": answer["id"],
        "has_more": False,
    }
    changed = ask(shared_service, "POST", path, {"metadata": {"a": "b"}}).json()
    assert changed == {**answer, "metadata": {"a": "b"}, "file_ids": []}
    assert ask(shared_service, "GET", path).json() == {**answer, "metadata": {"a": "b"}}
    deleted = ask(shared_service, "DELETE", path).json()
    assert deleted == {"id": answer["id"], "object": "thread.message.deleted", "deleted": True}
    assert said(ask(shared_service, "GET", path)) == (404, f"No message found with id '{answer['id']}'.", None, None)


def test_parts_come_back_with_their_defaults(shared_service: Service, thread: str) -> None:
    parts = [
        {"type": "text", "text": ""},
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:,", "detail": "low"}},
    ]
    answer = ask(shared_service, "POST", f"{thread}/messages", {"role": "assistant", "content": parts}).json()
    assert answer["role"] == "assistant"
    assert answer["content"] == [
        {"type": "text", "text": {"value": "", "annotations": []}},
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "auto"}},
        {"type": "image_url", "image_url": {"url": "data:,", "detail": "low"}},
    ]


def test_first_messages_share_a_second_and_keep_their_order(shared_service: Service) -> None:
    path = made(shared_service, {"messages": [{"role": "user", "content": str(n)} for n in range(5)]})
    listed = ask(shared_service, "GET", f"{path}/messages").json()["data"]
    assert [each["content"][0]["text"]["value"] for each in listed] == ["4", "3", "2", "1", "0"]
    assert len({each["created_at"] for each in listed}) == 1


def test_a_thread_takes_its_messages_with_it_and_no_others(shared_service: Service, thread: str) -> None:
    path = made(shared_service, {"messages": [HELLO]})
    message = ask(shared_service, "GET", f"{path}/messages").json()["first_id"]
    other = ask(shared_service, "POST", f"{thread}/messages", HELLO).json()["id"]
    ask(shared_service, "DELETE", path)
    gone = (404, f"No thread found with id '{path.rpartition('/')[2]}'.", None, None)
    for method, rest, body in [
        ("GET", "", None),
        ("POST", "", HELLO),
        ("GET", f"/{message}", None),
        ("POST", f"/{message}", {}),
        ("DELETE", f"/{message}", None),
    ]:
        assert said(ask(shared_service, method, f"{path}/messages{rest}", body)) == gone
    assert ask(shared_service, "GET", f"{thread}/messages/{other}").status == 200


def test_a_message_of_another_thread_is_none(shared_service: Service, thread: str) -> None:
    other = made(shared_service, {"messages": [HELLO]})
    message = ask(shared_service, "GET", f"{other}/messages").json()["first_id"]
    unknown = (404, f"No message found with id '{message}'.", None, None)
    for method, body in (("GET", None), ("POST", {"metadata": {"a": "b"}}), ("DELETE", None)):
        assert said(ask(shared_service, method, f"{thread}/messages/{message}", body)) == unknown
    assert said(ask(shared_service, "GET", f"{thread}/messages?after={message}")) == unknown
    assert ask(shared_service, "GET", f"{other}/messages/{message}").json()["metadata"] == {}


EMPTY = "Message content must be non-empty."
MISSING = "missing_required_parameter"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"role": "user", "content": ""}, (400, EMPTY, "content", None)),
        ({"role": "user", "content": [{"type": "text", "text": ""}]}, (400, EMPTY, "content", None)),
        (
            {"role": "user", "content": "x" * 256_001},
            (
                400,
                "Invalid 'content': string too long. Expected a string with maximum length 256000, but got a string "
                "with length 256001 instead.",
                "content",
                "string_above_max_length",
            ),
        ),
        ({"role": "user"}, (400, "Missing required parameter: 'content'.", "content", MISSING)),
        ({"content": "x"}, (400, "Missing required parameter: 'role'.", "role", MISSING)),
        (
            {"role": "user", "content": []},
            (
                400,
                "Invalid 'content': empty array. Expected an array with minimum length 1, but got an empty array "
                "instead.",
                "content",
                "empty_array",
            ),
        ),
        (
            {"role": "system", "content": "x"},
            (400, "Invalid value: 'system'. Supported values are: 'assistant' and 'user'.", "role", "invalid_value"),
        ),
        (
            {**HELLO, "metadata": {"modified": True}},
            (
                400,
                "Invalid type for 'metadata.modified': expected a string, but got a boolean instead.",
                "metadata.modified",
                "invalid_type",
            ),
        ),
        ({**HELLO, "attachments": [{"file_id": "file-gone"}]}, (404, "No such File object: file-gone", "id", None)),
        (
            {"role": "user", "content": [{"type": "image_file", "image_file": {"file_id": "file-gone"}}]},
            (404, "No such File object: file-gone", "id", None),
        ),
        (
            {**HELLO, "attachments": [{"file_id": "vs_1"}]},
            (
                400,
                "Invalid 'attachments[0].file_id': 'vs_1'. Expected an ID that begins with 'file'.",
                "attachments[0].file_id",
                "invalid_value",
            ),
        ),
    ],
)
def test_what_is_wrong_with_a_message_is_told(
    shared_service: Service, thread: str, body: Any, expected: tuple[Any, ...]
) -> None:
    assert said(ask(shared_service, "POST", f"{thread}/messages", body)) == expected


def test_a_thread_with_one_bad_message_is_not_made(service: Service) -> None:
    for bad in ({"role": "user", "content": ""}, {**HELLO, "attachments": [{"file_id": "file-gone"}]}):
        assert ask(service, "POST", "/v1/threads", {"messages": [HELLO, bad]}).status in (400, 404)
    assert ask(service, "GET", "/v1/threads").json()["data"] == []


@pytest.mark.parametrize(
    ("path", "param", "begins"),
    [
        ("/v1/threads/undefined", "thread_id", "thread"),
        ("/v1/threads/undefined/messages", "thread_id", "thread"),
        ("/v1/threads/thread_1/messages/undefined", "message_id", "msg"),
        ("/v1/threads/thread_1/messages?after=undefined", "after", "msg"),
        ("/v1/threads/thread_1/messages?run_id=undefined", "run_id", "run"),
        ("/v1/threads/thread_1/messages?run_id=", "run_id", "run"),
        ("/v1/threads?before=asst_1", "before", "thread"),
    ],
)
def test_an_id_of_another_shape_is_told_in_the_observed_words(
    shared_service: Service, path: str, param: str, begins: str
) -> None:
    status, message, told, code = said(ask(shared_service, "GET", path))
    assert (status, told, code) == (400, param, "invalid_value")
    assert message.endswith(f"Expected an ID that begins with '{begins}'.")


def test_a_creation_that_is_repeated_makes_one_message(shared_service: Service) -> None:
    path = made(shared_service)
    key = {"Idempotency-Key": f"once-in-{path}"}
    first, again = (ask(shared_service, "POST", f"{path}/messages", HELLO, key) for _ in range(2))
    assert first.json() == again.json()
    assert len(ask(shared_service, "GET", f"{path}/messages").json()["data"]) == 1


def test_threads_are_listed_newest_first(service: Service) -> None:
    paths = [made(service) for _ in range(3)]
    listed = ask(service, "GET", "/v1/threads?limit=2").json()
    assert [f"/v1/threads/{each['id']}" for each in listed["data"]] == paths[:0:-1]
    assert listed["has_more"] is True
