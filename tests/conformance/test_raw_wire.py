"""The wire as clients other than the official SDKs write it: ExOpenAI (Elixir), ruby-openai, openai-dotnet, curl."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

Ask = Callable[..., tuple[int, dict[str, str], Any]]


@pytest.fixture
def ask(shared_url: str) -> Ask:
    """Send a request exactly as written, with no header that is not given but Host and Content-Length."""

    def send(method: str, target: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], Any]:
        connection = http.client.HTTPConnection(urlsplit(shared_url).netloc, timeout=30)
        try:
            connection.putrequest(method, f"/v1{target}", skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            if body is not None:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return (
                answer.status,
                {name.lower(): value for name, value in answer.getheaders()},
                json.loads(answer.read()),
            )
        finally:
            connection.close()

    return send


JSON = {"content_type": "application/json"}


def made(ask: Ask, **fields: Any) -> dict[str, Any]:
    status, _, body = ask("POST", "/assistants", json.dumps({"model": "gpt-4o", **fields}).encode(), **JSON)
    assert status == 200, body
    return dict(body)


def test_exopenai_ends_every_url_in_a_question_mark_and_sends_no_beta_header(ask: Ask) -> None:
    headers = {"authorization": "Bearer sk-any", **JSON}
    body = b'{"name":"Math Teacher","tools":[{"type":"code_interpreter"}],"model":"gpt-4o"}'
    status, _, assistant = ask("POST", "/assistants?", body, **headers)
    assert (status, assistant["name"]) == (200, "Math Teacher")
    path = f"/assistants/{assistant['id']}?"
    assert ask("GET", path, **headers)[2] == assistant
    assert ask("GET", "/assistants?", **headers)[0] == 200
    assert ask("POST", path, b"{}", **headers)[2] == assistant
    assert ask("DELETE", path, **headers)[2] == {"id": assistant["id"], "object": "assistant.deleted", "deleted": True}


def test_ruby_openai_sends_a_content_type_with_get_and_delete(ask: Ask) -> None:
    headers = {
        "content_type": "application/json",
        "authorization": "Bearer sk-any",
        "openai_beta": "assistants=v2",
        "accept": "*/*",
        "user_agent": "Ruby",
        "accept_encoding": "gzip;q=1.0,deflate;q=0.6,identity;q=0.3",
    }
    assistant = made(ask)
    assert ask("GET", f"/assistants/{assistant['id']}", **headers)[2] == assistant
    assert ask("GET", "/assistants?limit=1&order=desc", **headers)[0] == 200
    assert ask("DELETE", f"/assistants/{assistant['id']}", **headers)[0] == 200


def test_a_body_on_a_get_or_a_delete_is_not_read(ask: Ask) -> None:
    assistant = made(ask)
    assert ask("GET", f"/assistants/{assistant['id']}", b"null", **JSON)[2] == assistant
    assert ask("DELETE", f"/assistants/{assistant['id']}", b"{not json", **JSON)[0] == 200


def test_explicit_nulls_mean_defaults(ask: Ask) -> None:
    plain = made(ask)
    fields = ("name", "description", "instructions", "metadata", "temperature", "top_p", "response_format")
    nulls = made(ask, **dict.fromkeys((*fields, "tool_resources", "reasoning_effort")), tools=[])
    same = {"id": None, "created_at": None}
    assert {**nulls, **same} == {**plain, **same}
    assert list(nulls) == list(plain)


def test_a_modification_without_content_changes_nothing(ask: Ask) -> None:
    assistant = made(ask, name="Tutor")
    for body in (b"{}", b"", None):
        assert ask("POST", f"/assistants/{assistant['id']}", body, **JSON)[2] == assistant


def test_a_content_type_may_be_missing_or_name_its_charset(ask: Ask) -> None:
    for headers in ({}, {"content_type": "application/json; charset=utf-8"}, {"content_type": "Application/JSON"}):
        status, _, body = ask("POST", "/assistants", b'{"model": "gpt-4o"}', **headers)
        assert status == 200, body


def test_stainless_and_other_headers_are_ignored(ask: Ask) -> None:
    headers = {"x_stainless_lang": "python", "x_stainless_retry_count": "0", "x_stainless_poll_helper": "true"}
    assert ask("GET", "/models/gpt-4o", **headers)[0] == 200


@pytest.mark.parametrize("beta", [None, "assistants=v2", "assistants=v2, realtime=v1", "", "something"])
def test_the_beta_header_is_accepted_and_not_required(ask: Ask, beta: str | None) -> None:
    assert ask("GET", "/assistants?limit=1", **({} if beta is None else {"openai_beta": beta}))[0] == 200


def test_success_is_200_and_nothing_else(ask: Ask) -> None:
    """ExOpenAI takes any other status for an error."""
    assistant = made(ask)
    path = f"/assistants/{assistant['id']}"
    statuses = [
        ask("GET", path)[0],
        ask("POST", path, b"{}", **JSON)[0],
        ask("DELETE", path)[0],
        ask("GET", "/models")[0],
    ]
    assert statuses == [200] * 4


def test_the_plainest_assistant_has_the_hosted_keys_in_their_order(ask: Ask) -> None:
    assistant = made(ask)
    assert list(assistant.items())[3:] == [
        ("name", None),
        ("description", None),
        ("model", "gpt-4o"),
        ("instructions", None),
        ("tools", []),
        ("top_p", 1.0),
        ("temperature", 1.0),
        ("reasoning_effort", None),
        ("tool_resources", {}),
        ("metadata", {}),
        ("response_format", "auto"),
    ]
    assert list(assistant)[:3] == ["id", "object", "created_at"]


def test_numbers_that_are_decimals_stay_decimals(shared_url: str) -> None:
    """A program in a typed language reads 1.0, never 1."""
    connection = http.client.HTTPConnection(urlsplit(shared_url).netloc, timeout=30)
    connection.request("POST", "/v1/assistants", b'{"model":"gpt-4o","temperature":1,"top_p":0}')
    body = connection.getresponse().read()
    connection.close()
    assert b'"temperature":1.0' in body
    assert b'"top_p":0.0' in body
    assert b"}\n{" not in body


@pytest.mark.parametrize(
    "target",
    ["/assistants?limit=5&unknown=1", "/assistants?limit=", "/assistants?limit=5&limit=6", "/assistants?order=DESC"],
)
def test_queries_are_read_strictly(ask: Ask, target: str) -> None:
    status, _, body = ask("GET", target)
    assert status == 400
    assert body["error"]["type"] == "invalid_request_error"
    assert body["error"]["param"] in ("unknown", "limit", "order")


def test_an_unknown_url_is_told_as_the_hosted_api_told_it(ask: Ask) -> None:
    status, headers, body = ask("POST", "/foo", b"{}", **JSON)
    assert status == 404
    assert body["error"]["message"] == "Invalid URL (POST /v1/foo)"
    assert headers["content-type"] == "application/json"
