"""Requests that are HTTP and mean ill, or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from tests.conftest import Service
from tests.server.talk import Answer, ask

TOOL = {"type": "code_interpreter"}


def refusal(answer: Answer) -> tuple[int, str | None, str | None]:
    """Return status, param and code; the answer has the envelope and its headers."""
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.error["type"] == "invalid_request_error"
    return answer.status, answer.error["param"], answer.error["code"]


# ------------------------------------------------------------------------------------------------ ids

NOWHERE = ["%00", "asst_%00", "%FF", "asst_%FF", "asst_%C3", "asst_%ED%A0%80", "asst_%C0%AF", "asst_%F4%90%80%80"]
UNKNOWN = ["asst_", "asst_%2F", "asst_%2E%2E%2F", "asst_%25", "asst_%0A", "asst_%22", "asst_%E6%97%A5", "asst_'--",
           "asst_%zz", "asst_%", "asst_;x", "asst_{assistant_id}", "asst_$ne", "asst_" + "x" * 60_000]  # fmt: skip
MISSHAPEN = ["undefined", "null", "[object%20Object]", "thread_1", "%20asst_1", "ASST_1", "x" * 60_000, "%61", "."]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("spelling", NOWHERE, ids=lambda each: each[:20])
def test_an_id_that_is_no_text_leads_nowhere(target: Service, method: str, spelling: str) -> None:
    answer = ask(target, method, f"/v1/assistants/{spelling}")
    assert refusal(answer) == (404, None, None)
    assert answer.error["message"] == f"Invalid URL ({method} /v1/assistants/{spelling})"


@pytest.mark.parametrize("spelling", ["%00", "%FF", "gpt%2F4", "gpt-4%00", "x" * 60_000], ids=lambda each: each[:20])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_model_that_is_no_text_is_not_there(target: Service, method: str, spelling: str) -> None:
    assert refusal(ask(target, method, f"/v1/models/{spelling}"))[0] == 404


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("spelling", UNKNOWN, ids=lambda each: each[:20])
def test_an_id_that_could_be_one_is_not_found(target: Service, method: str, spelling: str) -> None:
    answer = ask(target, method, f"/v1/assistants/{spelling}")
    assert refusal(answer) == (404, None, None)
    assert answer.error["message"].startswith("No assistant found with id 'asst_")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("spelling", MISSHAPEN, ids=lambda each: each[:20])
def test_an_id_of_another_shape_is_refused(target: Service, method: str, spelling: str) -> None:
    answer = ask(target, method, f"/v1/assistants/{spelling}")
    assert refusal(answer) == (400, "assistant_id", "invalid_value")
    assert len(answer.body) < 1000


# ---------------------------------------------------------------------------------------------- queries


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ("limit=0", "limit", "integer_below_min_value"),
        ("limit=-1", "limit", "integer_below_min_value"),
        ("limit=101", "limit", "integer_above_max_value"),
        ("limit=" + "9" * 18, "limit", "integer_above_max_value"),
        ("limit=" + "9" * 10_000, "limit", "invalid_type"),
        ("limit=abc", "limit", "invalid_type"),
        ("limit=", "limit", "invalid_type"),
        ("limit=1.0", "limit", "invalid_type"),
        ("limit=%00", "limit", "invalid_value"),
        ("limit=%EF%BC%91", "limit", "invalid_type"),
        ("limit=1&limit=1", "limit", "invalid_value"),
        ("order=up", "order", "invalid_value"),
        ("order=", "order", "invalid_value"),
        ("order=desc&order=asc", "order", "invalid_value"),
        ("after=undefined", "after", "invalid_value"),
        ("after=thread_1", "after", "invalid_value"),
        ("after=", "after", "invalid_value"),
        ("before=file-1", "before", "invalid_value"),
        ("after=asst_%00", "after", "invalid_value"),
        ("page=2", "page", "unknown_parameter"),
        ("include[]=x", "include[]", "unknown_parameter"),
        ("%00=1", "", "invalid_value"),
        ("x" * 10_000, "x" * 200 + "…", "unknown_parameter"),
        ("&".join(f"x{n}=1" for n in range(100)), None, "invalid_value"),
        ("x=%FF", None, "invalid_value"),
        ("%C3=1", None, "invalid_value"),
        ("=", "", "unknown_parameter"),
    ],
    ids=lambda each: str(each)[:20],
)
def test_a_query_that_cannot_be_meant_is_refused(
    target: Service, query: str, param: str | None, code: str | None
) -> None:
    assert refusal(ask(target, "GET", f"/v1/assistants?{query}")) == (400, param, code)


@pytest.mark.parametrize("side", ["after", "before"])
@pytest.mark.parametrize("cursor", ["asst_gone", "asst_", "asst_%2F", "asst_" + "x" * 10_000, "asst_%27%20OR%201=1"])
def test_a_cursor_that_never_was_is_not_found(target: Service, side: str, cursor: str) -> None:
    answer = ask(target, "GET", f"/v1/assistants?{side}={cursor}")
    assert refusal(answer) == (404, None, None)
    assert answer.error["message"].startswith("No assistant found with id 'asst_")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/assistants"),
        ("GET", "/v1/assistants/asst_1"),
        ("POST", "/v1/assistants/asst_1"),
        ("DELETE", "/v1/assistants/asst_1"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/gpt-4o"),
    ],
)
def test_a_parameter_where_there_is_none_is_refused(target: Service, method: str, path: str) -> None:
    assert refusal(ask(target, method, f"{path}?limit=1")) == (400, "limit", "unknown_parameter")


@pytest.mark.parametrize("query", ["&", "&&", "limit=1&", "&limit=1", "limit=1&&order=asc"])
def test_an_ampersand_too_many_is_nothing(target: Service, query: str) -> None:
    assert ask(target, "GET", f"/v1/assistants?{query}").status == 200


# ---------------------------------------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "application/jsonp",
        "application/json, text/plain",
        "",
        "\xff",
        "x" * 10_000,
    ],
    ids=lambda each: each[:30],
)
def test_a_body_of_another_type_is_refused(target: Service, content_type: str) -> None:
    answer = ask(target, "POST", "/v1/assistants", {"model": "gpt-4o"}, {"Content-Type": content_type})
    assert refusal(answer) == (400, None, "unsupported_content_type")
    assert len(answer.body) < 1000


def test_a_compressed_body_is_refused(target: Service) -> None:
    import gzip

    body = gzip.compress(b'{"model": "gpt-4o"}')
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    assert refusal(ask(target, "POST", "/v1/assistants", body, headers))[0] == 400


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\x00",
        b"\xff\xfe{\x00}\x00",
        b'\xef\xbb\xbf{"model":"m"}',
        b'{"model":"m"}garbage',
        rb'{"model":"\ud800"}',
        b'{"model":"m","temperature":1e999}',
        b'{"model":"m","temperature":NaN}',
        b'{"model":"m","model":"m"}',
        b'{"model":"m","temperature":' + b"1" * 100_000 + b"}",
        b"[" * 5_000_000,
        b'{"a":' * 1_000_000,
        b'"' + b"x" * 10_000_000,
    ],
    ids=lambda each: repr(each[:20]),
)
@pytest.mark.parametrize("path", ["/v1/assistants", "/v1/assistants/asst_gone"])
def test_a_body_that_is_no_json_is_refused(target: Service, path: str, body: bytes) -> None:
    answer = ask(target, "POST", path, body)
    assert refusal(answer) in ((400, None, None), (400, None, "invalid_value"))
    assert len(answer.body) < 1000


BODIES: list[tuple[Callable[[], Any], str | None, str]] = [
    (dict, "model", "missing_required_parameter"),
    (list, None, "invalid_type"),
    (lambda: {"model": "m", "x": 1}, "x", "unknown_parameter"),
    (lambda: {"model": "m", "x" * 10_000_000: 1}, "x" * 200 + "…", "unknown_parameter"),
    (lambda: {"model": "x" * 10_000_000}, "model", "string_above_max_length"),
    (lambda: {"model": "m", "instructions": "x" * 10_000_000}, "instructions", "string_above_max_length"),
    (lambda: {"model": "m", "reasoning_effort": "x" * 10_000_000}, "reasoning_effort", "invalid_value"),
    (lambda: {"model": "m", "metadata": {"x" * 10_000_000: "v"}}, "metadata", "string_above_max_length"),
    (lambda: {"model": "m", "tools": [{"type": "x" * 10_000_000}]}, "tools[0].type", "invalid_value"),
    (lambda: {"model": "m", "tools": [TOOL] * 129}, "tools", "array_above_max_length"),
    (lambda: {"model": "m", "tools": [TOOL] * 400_000}, "tools", "array_above_max_length"),
    (lambda: {"model": "m", "metadata": {str(n): "" for n in range(17)}}, "metadata", "object_above_max_properties"),
    (lambda: {"model": "m", "metadata": {"k": None}}, "metadata.k", "invalid_type"),
    (lambda: {"model": "m", "temperature": 10**4000}, "temperature", "decimal_above_max_value"),
    (lambda: {"model": "a\0b"}, "model", "invalid_value"),
    (
        lambda: {"model": "m", "tool_resources": {"code_interpreter": {"file_ids": ["x" * 10_000_000]}}},
        "tool_resources.code_interpreter.file_ids[0]",
        "invalid_value",
    ),
]


@pytest.mark.parametrize(("body", "param", "code"), BODIES)
def test_a_body_beyond_the_limits_is_refused_in_few_words(
    target: Service, body: Callable[[], Any], param: str | None, code: str
) -> None:
    answer = ask(target, "POST", "/v1/assistants", body())
    assert refusal(answer) == (400, param, code)
    assert len(answer.body) < 2000


@pytest.mark.parametrize(
    ("resources", "status"),
    [
        ({"file_search": {"vector_store_ids": ["vs_" + "x" * 1_000_000]}}, 404),
        ({"code_interpreter": {"file_ids": ["file-" + "x" * 1_000_000]}}, 404),
        ({"file_search": {"vector_stores": [{"file_ids": ["file-" + "x" * 1_000_000]}]}}, 404),
    ],
    ids=["vector store", "file", "file of a new vector store"],
)
def test_an_id_without_end_is_not_found_in_few_words(target: Service, resources: Any, status: int) -> None:
    answer = ask(target, "POST", "/v1/assistants", {"model": "m", "tool_resources": resources})
    assert refusal(answer)[0] == status
    assert len(answer.body) < 2000


def test_the_largest_assistant_there_may_be_is_kept(suffering_service: Service) -> None:
    """Everything at its limit, every character escaped: it still fits into a body."""
    wide = "\U0001f642"
    schema = {"name": "n" * 64, "description": wide * 1024}
    body = {
        "model": wide * 256,
        "name": wide * 256,
        "description": wide * 512,
        "instructions": wide * 256_000,
        "metadata": {f"{n:02}" + wide * 62: wide * 512 for n in range(16)},
        "tools": [{"type": "function", "function": schema}] * 128,
    }
    made = ask(suffering_service, "POST", "/v1/assistants", json.dumps(body).encode())
    assert made.status == 200
    path = f"/v1/assistants/{made.json()['id']}"
    assert ask(suffering_service, "GET", path).body == made.body
    assert {key: made.json()[key] for key in ("model", "name", "instructions", "metadata")} == {
        key: body[key] for key in ("model", "name", "instructions", "metadata")
    }
    assert ask(suffering_service, "DELETE", path).status == 200


@pytest.mark.parametrize("name", ["Authorization", "OpenAI-Beta", "OpenAI-Organization", "X-Request-Id", "Cookie"])
@pytest.mark.parametrize("value", ["\xff\xfe", "x" * 60_000, "\t", "{{7*7}}", "a, b; c=d"], ids=lambda each: each[:9])
def test_a_header_of_any_kind_does_no_harm(target: Service, name: str, value: str) -> None:
    assert ask(target, "GET", "/v1/models/gpt-4o", headers={name: value}).status == 200


@pytest.mark.parametrize("path", ["/%2e%2e/etc/passwd", "/reference/../openapi.json", "//health", "/health/", "/%00"])
def test_a_path_outside_the_api_leads_nowhere(target: Service, path: str) -> None:
    answer = ask(target, "GET", path)
    assert refusal(answer) == (404, None, None)


def test_what_is_quoted_of_a_path_cannot_break_a_line(target: Service) -> None:
    path = "/" + quote("<script>\r\nSet-Cookie: a=b")
    answer = ask(target, "GET", path)
    assert answer.error["message"] == f"Invalid URL (GET {path})"
    assert "set-cookie" not in answer.headers
