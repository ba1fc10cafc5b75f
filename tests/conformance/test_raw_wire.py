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


# ---------------------------------------------------------------------------------------------------- runs


def begun(ask: Ask, text: str) -> tuple[str, dict[str, Any]]:
    """Begin a run, wait until it rests, and return its path and what it is."""
    assistant = made(ask, tools=[{"type": "function", "function": {"name": "get_weather"}}])
    body = {"assistant_id": assistant["id"], "thread": {"messages": [{"role": "user", "content": text}]}}
    run = ask("POST", "/threads/runs", json.dumps(body).encode(), **JSON)[2]
    path = f"/threads/{run['thread_id']}/runs/{run['id']}"
    while run["status"] in ("queued", "in_progress"):
        run = ask("GET", path)[2]
    return path, run


def refused(ask: Ask, method: str, target: str, body: Any = None) -> tuple[int, str]:
    content = None if body is None else json.dumps(body).encode()
    status, _, said = ask(method, target, content, **JSON)
    return status, said["error"]["message"]


def test_what_a_run_does_not_have_is_told_of_by_its_own_kind(ask: Ask) -> None:
    path, run = begun(ask, "!say Yes")
    other = ask("POST", "/threads", b"{}", **JSON)[2]["id"]
    assert refused(ask, "GET", f"{path}/steps/step_123") == (404, "No run step found with id 'step_123'.")
    assert refused(ask, "GET", f"{path}/steps?after=step_123") == (404, "No run step found with id 'step_123'.")
    assert refused(ask, "GET", f"/threads/{other}/runs/{run['id']}") == (404, f"No run found with id '{run['id']}'.")
    assert refused(ask, "GET", f"/threads/thread_x/runs/{run['id']}") == (404, "No thread found with id 'thread_x'.")
    assert refused(ask, "GET", f"/threads/{run['thread_id']}/runs/undefined") == (
        400,
        "Invalid 'run_id': 'undefined'. Expected an ID that begins with 'run'.",
    )


def test_that_a_thread_is_missing_is_told_before_all_else_that_is_wrong_with_a_run(ask: Ask) -> None:
    _, run = begun(ask, "!say Yes")
    bare = ask("POST", "/assistants", b'{"model": "scripted"}', **JSON)[2]["id"]
    question = {"role": "user", "content": "Hello"}
    attached = {**question, "attachments": [{"file_id": "file-x", "tools": [{"type": "file_search"}]}]}
    for body in (
        {"assistant_id": run["assistant_id"]},
        {"assistant_id": "asst_x"},
        {"assistant_id": bare},  # there is nothing to answer
        {"assistant_id": bare, "model": "none-such"},
        {"assistant_id": bare, "additional_messages": [question]},
        {"assistant_id": bare, "additional_messages": [attached]},
        {"assistant_id": bare, "additional_messages": [question], "stream": True},
    ):
        assert refused(ask, "POST", "/threads/thread_x/runs", body) == (404, "No thread found with id 'thread_x'.")


def test_outputs_are_taken_for_all_calls_once_or_not_at_all(ask: Ask) -> None:
    path, run = begun(ask, "!call get_weather {}\n!call get_weather {}")
    one, two = (call["id"] for call in run["required_action"]["submit_tool_outputs"]["tool_calls"])
    for got in ([one], [one, two, "call_x"], [one, "call_x"], []):
        outputs = {"tool_outputs": [{"tool_call_id": each, "output": "1"} for each in got]}
        assert refused(ask, "POST", f"{path}/submit_tool_outputs", outputs) == (
            400,
            f"Expected tool outputs for call_ids {[one, two]}, got {got}",
        )
    twice = {"tool_outputs": [{"tool_call_id": each, "output": "1"} for each in (one, two, two)]}
    assert refused(ask, "POST", f"{path}/submit_tool_outputs", twice) == (
        400,
        "Invalid 'tool_outputs[2].tool_call_id': given more than once.",
    )
    nameless = {"tool_outputs": [{"output": "1"}]}
    assert refused(ask, "POST", f"{path}/submit_tool_outputs", nameless) == (
        400,
        "Missing required parameter: 'tool_outputs[0].tool_call_id'.",
    )
    # In any order, and an output may be left out.
    outputs = {"tool_outputs": [{"tool_call_id": two}, {"tool_call_id": one, "output": "1"}]}
    status, _, queued = ask("POST", f"{path}/submit_tool_outputs", json.dumps(outputs).encode(), **JSON)
    assert (status, queued["status"], queued["required_action"]) == (200, "queued", None)
    assert queued["started_at"] == run["started_at"]


def test_a_run_that_is_over_takes_nothing_more(ask: Ask) -> None:
    path, run = begun(ask, "!say Yes")
    assert run["expires_at"] is None
    assert refused(ask, "POST", f"{path}/cancel") == (400, "Cannot cancel run with status 'completed'.")
    outputs = {"tool_outputs": [{"tool_call_id": "call_x", "output": "1"}]}
    assert refused(ask, "POST", f"{path}/submit_tool_outputs", outputs) == (
        400,
        'Runs in status "completed" do not accept tool outputs.',
    )
    changed = ask("POST", path, b'{"metadata": {"seen": "yes"}}', **JSON)[2]
    assert changed == {**run, "metadata": {"seen": "yes"}}


def test_a_run_that_waits_locks_its_thread_and_what_it_waits_for_has_no_usage_yet(ask: Ask) -> None:
    path, run = begun(ask, "!call get_weather {}")
    (step,) = ask("GET", f"{path}/steps")[2]["data"]
    assert (step["status"], step["usage"], step["expires_at"]) == ("in_progress", None, run["expires_at"])
    assert step["step_details"]["tool_calls"][0]["function"]["output"] is None
    assert (run["usage"], run["expires_at"]) == (None, run["created_at"] + 600)
    thread = f"/threads/{run['thread_id']}"
    assert refused(ask, "POST", f"{thread}/messages", {"role": "user", "content": "Well?"}) == (
        400,
        f"Can't add messages to {run['thread_id']} while a run {run['id']} is active.",
    )
    assert refused(ask, "POST", f"{thread}/runs", {"assistant_id": run["assistant_id"]}) == (
        400,
        f"Thread {run['thread_id']} already has an active run {run['id']}.",
    )
    assert ask("POST", thread, b'{"metadata": {"a": "b"}}', **JSON)[0] == 200
    cancelled = ask("POST", f"{path}/cancel")[2]
    assert (cancelled["status"], cancelled["cancelled_at"], cancelled["expires_at"]) == (
        "cancelling",
        None,
        run["expires_at"],
    )


def test_a_stream_is_framed_to_the_byte(ask: Ask, shared_url: str) -> None:
    """ExOpenAI splits at line feeds and matches one space; ruby-openai and others read names from the event line."""
    assistant = made(ask)
    thread = {"messages": [{"role": "user", "content": '!say \u2028 Ein "Satz".'}]}
    body = json.dumps({"assistant_id": assistant["id"], "thread": thread, "stream": True})
    connection = http.client.HTTPConnection(urlsplit(shared_url).netloc, timeout=30)
    connection.request("POST", "/v1/threads/runs?", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "content-length" not in answer.headers
    assert b"\r" not in raw
    assert raw.endswith(b"event: done\ndata: [DONE]\n\n")
    for block in raw.decode().split("\n\n")[:-2]:
        name, data = block.split("\n")
        assert name.startswith("event: thread.")
        decoded = json.loads(data.removeprefix("data: "))
        assert "error" not in decoded
