"""Creating with an `Idempotency-Key`: twice is once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from tests.conftest import Service

from .talk import Answer, ask, create, listed


@pytest.fixture
def key() -> str:
    return f"key-{uuid4()}"


def creation(service: Service, key: str, name: str = "Tutor") -> Answer:
    return create(service, {"Idempotency-Key": key}, name=name)


def test_the_same_request_again_is_answered_with_the_same_object(shared_service: Service, key: str) -> None:
    before = listed(shared_service)
    first, second = creation(shared_service, key), creation(shared_service, key)
    assert first.status == 200
    assert second.body == first.body
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
    assert listed(shared_service) == [*before, first.json()["id"]]


def test_another_request_with_the_key_is_refused_and_writes_nothing(shared_service: Service, key: str) -> None:
    creation(shared_service, key)
    before = listed(shared_service)
    answer = creation(shared_service, key, "Coach")
    assert (answer.status, answer.error) == (
        400,
        {
            "message": f"The Idempotency-Key '{key}' was already used for a request with other content.",
            "type": "invalid_request_error",
            "param": "Idempotency-Key",
            "code": "idempotency_key_reused",
        },
    )
    assert listed(shared_service) == before


def test_eight_at_once_make_one_object(shared_service: Service, key: str) -> None:
    before = listed(shared_service)
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: creation(shared_service, key), range(8)))
    assert [each.status for each in answers] == [200] * 8
    assert len({each.body for each in answers}) == 1
    assert listed(shared_service) == [*before, answers[0].json()["id"]]


def test_another_key_makes_another_object(shared_service: Service, key: str) -> None:
    assert creation(shared_service, key).json()["id"] != creation(shared_service, f"{key}-2").json()["id"]


def test_a_request_that_was_refused_does_not_use_up_its_key(shared_service: Service, key: str) -> None:
    headers = {"Idempotency-Key": key}
    assert create(shared_service, headers, temperature=3).status == 400
    gone = {"file_search": {"vector_store_ids": ["vs_gone"]}}
    assert create(shared_service, headers, tool_resources=gone).status == 404
    assert create(shared_service, headers, temperature=1).status == 200


def test_an_object_that_was_deleted_is_still_the_answer(shared_service: Service, key: str) -> None:
    """The caller asks what became of its request, not what is there now."""
    first = creation(shared_service, key)
    ask(shared_service, "DELETE", f"/v1/assistants/{first.json()['id']}")
    assert creation(shared_service, key).body == first.body


def test_what_can_be_repeated_anyway_takes_the_header_and_ignores_it(shared_service: Service, key: str) -> None:
    headers = {"Idempotency-Key": key}
    path = f"/v1/assistants/{create(shared_service).json()['id']}"
    assert ask(shared_service, "POST", path, {"name": "a"}, headers).json()["name"] == "a"
    assert ask(shared_service, "POST", path, {"name": "b"}, headers).json()["name"] == "b"
    assert ask(shared_service, "DELETE", path, headers=headers).status == 200


@pytest.mark.parametrize("key", ["", " ", "a b", "\xe9", "x" * 256, "a\tb"])
def test_a_key_that_is_no_key_is_refused(shared_service: Service, key: str) -> None:
    answer = creation(shared_service, key)
    assert (answer.status, answer.error["param"], answer.error["code"]) == (400, "Idempotency-Key", "invalid_value")


def test_a_key_may_have_255_characters_of_any_visible_kind(shared_service: Service, key: str) -> None:
    odd = f"{key}~!\"#$%&'()*+,-./:;<=>?@[\\]^_`{{|}}".ljust(255, "x")
    assert creation(shared_service, odd).body == creation(shared_service, odd).body


def test_a_key_is_remembered_when_the_service_starts_again(tmp_path: object, start_service: object, key: str) -> None:
    first = start_service()  # type: ignore[operator]
    made = creation(first, key)
    first.kill()
    second = start_service()  # type: ignore[operator]
    assert creation(second, key).body == made.body
    assert listed(second) == [made.json()["id"]]


@pytest.mark.parametrize("stream", [False, True])
def test_a_run_of_a_thread_that_was_deleted_is_not_told_of_again(
    shared_service: Service, key: str, stream: bool
) -> None:
    assistant = create(shared_service, {}, model="scripted").json()["id"]
    question = {"messages": [{"role": "user", "content": "!say Yes"}]}
    thread = ask(shared_service, "POST", "/v1/threads", question).json()["id"]

    def run(**more: object) -> Answer:
        body = {"assistant_id": assistant, "stream": stream, **more}
        return ask(shared_service, "POST", f"/v1/threads/{thread}/runs", body, {"Idempotency-Key": key})

    assert (run().status, run().status) == (200, 200)
    ask(shared_service, "DELETE", f"/v1/threads/{thread}")
    for again in (run(), run(instructions="Other content.")):
        assert (again.status, again.error["message"]) == (404, f"No thread found with id '{thread}'.")
