"""Errors: what they are, what they carry, what they say."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import holdover
from holdover.client.transports import Response

from .faces import Face
from .scripted import LATE, LOST, REFUSED, Scripted, answer, refusal
from .stub import SILENCE, Answer, Stub

CLASSES = {
    400: holdover.BadRequestError,
    401: holdover.AuthenticationError,
    403: holdover.PermissionDeniedError,
    404: holdover.NotFoundError,
    409: holdover.ConflictError,
    418: holdover.APIStatusError,
    422: holdover.UnprocessableEntityError,
    429: holdover.RateLimitError,
    500: holdover.InternalServerError,
    503: holdover.InternalServerError,
    599: holdover.InternalServerError,
}


@pytest.mark.parametrize(("status", "raised"), CLASSES.items(), ids=str)
def test_a_status_is_raised_as_its_class_with_all_that_was_said(
    face: Face, status: int, raised: type[holdover.APIStatusError]
) -> None:
    with pytest.raises(holdover.APIStatusError) as caught:
        face.client(Scripted(refusal(status, x_request_id="req_7")), max_retries=0).get_assistant("asst_1")
    error = caught.value
    assert type(error) is raised
    assert (error.status, error.status_code, str(error), error.message) == (status, status, *[f"Said {status}."] * 2)
    assert (error.code, error.param, error.type) == ("a_code", "name", "invalid_request_error")
    assert error.request_id == "req_7"
    assert error.body["message"] == f"Said {status}."


def test_an_error_of_a_real_service_carries_the_id_of_its_request(client: Any) -> None:
    with pytest.raises(holdover.NotFoundError) as caught:
        client.get_assistant("asst_nowhere")
    error = caught.value
    assert (error.status, error.code, error.param, error.type) == (404, None, None, "invalid_request_error")
    assert str(error) == "No assistant found with id 'asst_nowhere'."
    assert re.fullmatch("req_[0-9a-f]{32}", error.request_id or "")
    assert error.body == {"message": str(error), "type": "invalid_request_error", "param": None, "code": None}


def test_a_service_with_keys_says_what_is_wrong_with_a_callers(
    face: Face, start_service: Callable[..., Any], tmp_path: Any
) -> None:
    service = start_service(api_keys=["sk-the-right-key"])
    with pytest.raises(holdover.AuthenticationError, match="You didn't provide an API key") as caught:
        face.client(base_url=service.base_url).list_assistants()
    assert caught.value.status == 401
    with pytest.raises(holdover.AuthenticationError, match="Incorrect API key provided: sk-the-w") as caught:
        face.client(base_url=service.base_url, api_key="sk-the-wrong-key").list_assistants()
    assert caught.value.code == "invalid_api_key"
    assert face.client(base_url=service.base_url, api_key="sk-the-right-key").list_assistants().data == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "The service answered 502."),
        (b"<html>Bad Gateway</html>", "The service answered 502: <html>Bad Gateway</html>"),
        (b'{"error": "overloaded"}', 'The service answered 502: {"error": "overloaded"}'),
        (b'{"detail": "no"}', 'The service answered 502: {"detail": "no"}'),
        (b'{"error": {"message": 5, "code": 7}}', "The service answered 502: {"),
        (b"[]", "The service answered 502: []"),
        (b"\xff\xfe", "The service answered 502: \ufffd\ufffd"),
        (b'{"error": {"message": "\xff"}}', "The service answered 502: {"),
        (b"[" * 100_000, "The service answered 502: [[["),
        (b"x" * 5000, "The service answered 502: xxx"),
    ],
    ids=["empty", "html", "text", "detail", "numbers", "array", "not utf-8", "not utf-8 inside", "deep", "long"],
)
def test_an_error_in_another_shape_is_shown_in_brief(face: Face, body: bytes, said: str) -> None:
    with pytest.raises(holdover.InternalServerError) as caught:
        face.client(Scripted(answer(body, 502)), max_retries=0).get_assistant("asst_1")
    assert str(caught.value).startswith(said)
    assert len(str(caught.value)) < 300
    assert (caught.value.code, caught.value.param) == (None, None)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>hello</html>", b"[]", b"{}", b'{"id": "asst_1\xff"}', b"[" * 100_000, b'{"id": 5}'],
    ids=["empty", "html", "array", "object", "not utf-8", "deep", "wrong type"],
)
def test_an_answer_that_is_not_of_the_wire_says_so(face: Face, body: bytes) -> None:
    with pytest.raises(holdover.APIResponseValidationError) as caught:
        face.client(Scripted(answer(body, x_request_id="req_7")), base_url="http://x.example/v1").get_assistant(
            "asst_1"
        )
    error = caught.value
    assert str(error).startswith(
        "The answer of http://x.example/v1 to GET /assistants/asst_1 is not of the Assistants API"
    )
    assert (error.status, error.body, error.request_id) == (200, body, "req_7")
    assert isinstance(error, holdover.APIError)
    assert not isinstance(error, holdover.APIStatusError)


@given(
    st.binary()
    | st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
@settings(max_examples=60, deadline=None)
def test_no_answer_makes_anything_but_our_own_errors(content: Any) -> None:
    body = content if isinstance(content, bytes) else msgspec.json.encode({"error": content})
    for status in (200, 400):
        client = holdover.Client(transport=Scripted(answer(body, status)))
        with pytest.raises(holdover.APIError):
            client.get_assistant("asst_1")


def test_keys_that_a_newer_service_adds_are_ignored(face: Face) -> None:
    script = Scripted(
        answer({"id": "asst_1", "created_at": 1, "model": "m", "tools": [], "soul": {}, "object": "assistant"})
    )
    assert face.client(script).get_assistant("asst_1").id == "asst_1"


def test_a_redirect_is_an_error_and_not_followed(face: Face, start_stub: Callable[..., Stub]) -> None:
    elsewhere = start_stub()
    stub = start_stub(lambda asked: Answer(b"", 307, (("location", elsewhere.base_url),)))
    with pytest.raises(holdover.APIStatusError) as caught:
        face.client(base_url=stub.base_url, api_key="sk-1").get_assistant("asst_1")
    assert caught.value.status == 307
    assert elsewhere.connections == 0


# ----------------------------------------------------------------------------------------------- no answer


def test_where_nothing_listens_the_error_says_how_to_start_a_service(face: Face, free_port: int) -> None:
    base_url = f"http://127.0.0.1:{free_port}/v1"
    with pytest.raises(holdover.APIConnectionError) as caught:
        face.client(base_url=base_url).list_assistants()
    said = f"Nothing is listening at {base_url}. To start the service, run: holdover serve"
    assert str(caught.value) == said
    assert caught.value.__cause__ is not None


def test_a_name_that_is_not_known_is_a_connection_error(face: Face) -> None:
    with pytest.raises(holdover.APIConnectionError, match=r"^Could not connect to http://nowhere\.invalid/v1"):
        face.client(base_url="http://nowhere.invalid/v1", max_retries=0).list_assistants()


def test_a_connection_that_breaks_off_says_so(face: Face) -> None:
    with pytest.raises(holdover.APIConnectionError, match=r"^The connection to http://.* broke off: connection closed"):
        face.client(Scripted(LOST)).list_assistants()


def test_an_answer_that_is_late_is_a_timeout_error(face: Face) -> None:
    with pytest.raises(holdover.APITimeoutError) as caught:
        face.client(Scripted(LATE), timeout_s=2.5).list_assistants()
    assert str(caught.value) == "No answer within 2.5 s to GET http://127.0.0.1:8026/v1/assistants."
    assert isinstance(caught.value, holdover.APIConnectionError)
    assert isinstance(caught.value, holdover.APIError)


def test_no_error_and_none_of_its_causes_shows_the_key(
    face: Face, start_stub: Callable[..., Stub], free_port: int
) -> None:
    silent = start_stub(lambda asked: SILENCE)
    for base_url in (silent.base_url, f"http://127.0.0.1:{free_port}/v1"):
        with pytest.raises(holdover.APIError) as caught:
            face.client(base_url=base_url, api_key="sk-secret", timeout_s=0.1, max_retries=0).list_assistants()
        error: BaseException | None = caught.value
        while error is not None:
            assert "sk-secret" not in f"{error!r} {error.__dict__}"
            error = error.__cause__


# ------------------------------------------------------------------------------------------ the hosted service

ENDED: list[Callable[[Any], Any]] = [
    lambda client: client.create_assistant("gpt-4o"),
    lambda client: client.get_assistant("asst_1"),
    lambda client: client.list_assistants(),
    lambda client: client.modify_assistant("asst_1"),
    lambda client: client.delete_assistant("asst_1"),
    lambda client: client.request("GET", "/threads/thread_1"),
]


@pytest.mark.parametrize(
    "base_url", ["https://api.openai.com/v1", "https://API.OPENAI.COM:443/v1/", "http://me:secret@api.openai.com/v1"]
)
@pytest.mark.parametrize("ask", ENDED, ids=["create", "get", "list", "modify", "delete", "request"])
def test_an_assistants_call_to_the_hosted_service_says_that_it_ended(face: Face, ask: Any, base_url: str) -> None:
    script = Scripted()
    with pytest.raises(holdover.HostedAPIEndedError, match="ended on 2026-08-26") as caught:
        ask(face.client(script, base_url=base_url))
    assert "holdover serve" in str(caught.value)
    assert script.requests == []


def test_what_the_hosted_service_still_has_may_be_asked_of_it(face: Face) -> None:
    script = Scripted(answer({"object": "list", "data": []}))
    client = face.client(script, base_url="https://api.openai.com/v1")
    client.list_models()
    client.request("POST", "/chat/completions", body=b"{}")
    assert script.sent == ["GET /v1/models", "POST /v1/chat/completions"]


@pytest.mark.parametrize("base_url", ["http://127.0.0.1/api.openai.com/v1", "https://api.openai.com.example/v1"])
def test_another_service_with_the_hosted_ones_name_in_its_address_is_asked(face: Face, base_url: str) -> None:
    script = Scripted()
    face.client(script, base_url=base_url).get_assistant("asst_1")
    assert len(script.requests) == 1


def test_the_tree_of_errors_is_that_of_the_official_sdk() -> None:
    import openai

    for name in (
        "APIConnectionError",
        "APITimeoutError",
        "APIStatusError",
        "APIResponseValidationError",
        "RateLimitError",
    ):
        ours, theirs = getattr(holdover, name), getattr(openai, name)
        ancestors = {each.__name__ for each in ours.__mro__}
        assert {each.__name__ for each in theirs.__mro__} - ancestors <= {"OpenAIError"}, name


def test_a_response_knows_nothing_of_errors(face: Face) -> None:
    """A raw request returns its answer, whatever the status."""
    raw = face.client(Scripted(refusal(404))).request("GET", "/nowhere")
    assert isinstance(raw, Response)
    assert raw.status == 404
    with pytest.raises(holdover.APIConnectionError):
        face.client(Scripted(REFUSED)).request("GET", "/nowhere")
