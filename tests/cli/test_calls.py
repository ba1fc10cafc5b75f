"""Calls in a pipe: what is sent, what comes out, and the exit code."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from holdover.client import Client


def answered(result: Any) -> Any:
    """The one JSON document of a command that succeeded."""
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat calls without pausing."""
    monkeypatch.setattr(Client, "_sleep", staticmethod(lambda seconds: None))


# ------------------------------------------------------------------------------------------ assistants


def test_create_sends_every_option(holdover: Any, tmp_path: Path) -> None:
    function = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    tools = tmp_path / "tools.json"
    tools.write_text(json.dumps([function]))
    instructions = tmp_path / "instructions.md"
    instructions.write_bytes("Teach.\nDo not tell.\n".encode("utf-8-sig"))
    result = holdover(
        *("assistants", "create", "gpt-5"),
        *("--name", "Tutor", "--description", "Maths", "--instructions", f"@{instructions}"),
        *("--tools", f"@{tools}", "--tool", "code_interpreter"),
        *("--tool-resources", '{"code_interpreter": {"file_ids": []}}'),
        *("--temperature", "0.2", "--top-p", "0.5", "--reasoning-effort", "low"),
        *("--response-format", "json_object", "--metadata", "team=maths", "--metadata", "formula=a=b"),
    )
    made = answered(result)
    assert (
        made.items()
        >= {
            "model": "gpt-5",
            "name": "Tutor",
            "description": "Maths",
            "instructions": "Teach.\nDo not tell.\n",
            "temperature": 0.2,
            "top_p": 0.5,
            "reasoning_effort": "low",
            "response_format": {"type": "json_object"},
            "metadata": {"team": "maths", "formula": "a=b"},
        }.items()
    )
    assert [each["type"] for each in made["tools"]] == ["function", "code_interpreter"]


def test_show_prints_the_object_as_the_service_sent_it(holdover: Any, assistant: dict[str, Any]) -> None:
    shown = holdover("assistants", "show", assistant["id"])
    raw = holdover("api", "GET", f"/assistants/{assistant['id']}")
    assert answered(shown) == assistant
    assert shown.stdout == raw.stdout


def test_modify_tells_null_from_left_out(holdover: Any, assistant: dict[str, Any]) -> None:
    words = ("assistants", "modify", assistant["id"])
    described = answered(holdover(*words, "--description", "Maths", "--metadata", "a=b", "--model", "gpt-4.1"))
    assert (described["name"], described["description"], described["model"]) == ("Tutor", "Maths", "gpt-4.1")
    cleared = answered(holdover(*words, "--null", "name", "--null", "description"))
    assert (cleared["name"], cleared["description"], cleared["metadata"]) == (None, None, {"a": "b"})


def test_modify_takes_every_tool_away_with_an_empty_array(holdover: Any, assistant: dict[str, Any]) -> None:
    words = ("assistants", "modify", assistant["id"])
    assert answered(holdover(*words, "--tool", "file_search"))["tools"] != []
    assert answered(holdover(*words, "--tools", "[]"))["tools"] == []


def test_delete_takes_several_and_goes_on_after_a_refusal(holdover: Any) -> None:
    ids = [answered(holdover("assistants", "create", "gpt-4o"))["id"] for _ in range(2)]
    result = holdover("assistants", "delete", ids[0], "asst_gone", ids[1])
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == ids
    assert result.stderr == "holdover: No assistant found with id 'asst_gone'.\n"
    assert result.exit_code == 4


@pytest.mark.parametrize(
    ("value", "expected"),
    [("auto", "auto"), ("text", {"type": "text"}), ('{"type": "json_object"}', {"type": "json_object"})],
)
def test_a_response_format_is_a_name_or_json(holdover: Any, value: str, expected: Any) -> None:
    assert answered(holdover("assistants", "create", "m", "--response-format", value))["response_format"] == expected


def test_text_may_come_from_standard_input(holdover: Any) -> None:
    words = ("assistants", "create", "gpt-4o", "--instructions")
    assert answered(holdover(*words, "@-", input="Teach."))["instructions"] == "Teach."
    assert answered(holdover(*words, "@@home"))["instructions"] == "@home"


# ----------------------------------------------------------------------------------------------- lists


@pytest.fixture
def five(monkeypatch: pytest.MonkeyPatch, service_url: str, invoke: Any) -> list[str]:
    """Ids of the assistants of a service that has no others, oldest first."""
    monkeypatch.setenv("OPENAI_BASE_URL", service_url)
    with Client() as client:
        return [client.create_assistant("gpt-4o", name=f"Tutor {number}").id for number in range(5)]


def test_a_list_is_a_page_or_everything(five: list[str], invoke: Any) -> None:
    page = answered(invoke("assistants", "list", "--limit", "2"))
    assert ([each["id"] for each in page["data"]], page["has_more"]) == (five[:2:-1], True)
    middle = ("--order", "asc", "--after", five[0], "--before", five[3])
    assert [each["id"] for each in answered(invoke("assistants", "list", *middle))["data"]] == five[1:3]
    everything = invoke("assistants", "list", "--all", "--limit", "2", "--order", "asc")
    assert [json.loads(line)["id"] for line in everything.stdout.splitlines()] == five


# --------------------------------------------------------------------------------- threads and messages


@pytest.fixture
def thread(holdover: Any) -> str:
    """The id of a thread with two messages."""
    messages = '[{"role": "user", "content": "One?"}]'
    made = answered(holdover("threads", "create", "--messages", messages, "--message", "Two?", "--metadata", "a=b"))
    assert made["metadata"] == {"a": "b"}
    identifier: str = made["id"]
    return identifier


def texts(page: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["role"], each["content"][0]["text"]["value"]) for each in page["data"]]


def test_a_thread_is_made_shown_changed_and_deleted(holdover: Any, thread: str) -> None:
    assert texts(answered(holdover("messages", "list", thread, "--order", "asc"))) == [
        ("user", "One?"),
        ("user", "Two?"),
    ]
    assert answered(holdover("threads", "show", thread))["metadata"] == {"a": "b"}
    assert answered(holdover("threads", "modify", thread, "--metadata", "c=d"))["metadata"] == {"c": "d"}
    assert answered(holdover("threads", "modify", thread, "--null", "metadata"))["metadata"] == {}
    assert answered(holdover("threads", "list", "--limit", "1"))["data"][0]["id"] == thread
    assert answered(holdover("threads", "delete", thread))["deleted"] is True
    gone = holdover("messages", "list", thread)
    assert (gone.exit_code, gone.stderr) == (4, f"holdover: No thread found with id '{thread}'.\n")


def test_a_message_is_made_shown_changed_and_deleted(holdover: Any, thread: str, tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Three?")
    made = answered(holdover("messages", "create", thread, f"@{letter}", "--metadata", "a=b"))
    assert texts({"data": [made]}) == [("user", "Three?")]
    assert answered(holdover("messages", "show", thread, made["id"])) == made
    changed = answered(holdover("messages", "modify", thread, made["id"], "--null", "metadata"))
    assert (changed["id"], changed["metadata"]) == (made["id"], {})
    spoken = answered(holdover("messages", "create", thread, "@-", "--role", "assistant", input="Four."))
    assert texts({"data": [spoken]}) == [("assistant", "Four.")]
    both = holdover("messages", "delete", thread, made["id"], "msg_gone", spoken["id"])
    assert (both.exit_code, both.stderr) == (4, "holdover: No message found with id 'msg_gone'.\n")
    everything = holdover("messages", "list", thread, "--all", "--limit", "1")
    assert [json.loads(line)["content"][0]["text"]["value"] for line in everything.stdout.splitlines()] == [
        "Two?",
        "One?",
    ]
    assert answered(holdover("messages", "list", thread, "--run-id", "run_none"))["data"] == []


def test_a_message_has_parts_or_a_text(holdover: Any, thread: str) -> None:
    parts = '[{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:,"}}]'
    made = answered(holdover("messages", "create", thread, "--content", parts, "--attachments", "[]"))
    assert [each["type"] for each in made["content"]] == ["text", "image_url"]
    for words in ((), ("text", "--content", parts)):
        refused = holdover("messages", "create", thread, *words)
        assert (refused.exit_code, "TEXT" in refused.stderr) == (2, True)


@pytest.mark.parametrize("words", [("threads", "modify", "thread_1"), ("messages", "modify", "thread_1", "msg_1")])
def test_a_modification_of_nothing_is_misuse(holdover: Any, words: tuple[str, ...]) -> None:
    refused = holdover(*words)
    assert (refused.exit_code, "nothing to change" in refused.stderr) == (2, True)
    assert "cannot have a value and be null" in holdover(*words, "--metadata", "a=b", "--null", "metadata").stderr


# ---------------------------------------------------------------------------------------------- models


def test_models_are_listed_and_shown(holdover: Any) -> None:
    listed = answered(holdover("models", "list"))["data"]
    assert answered(holdover("models", "show", listed[0]["id"])) == listed[0]


def test_a_model_that_is_not_there_is_a_fault_of_the_caller(holdover: Any) -> None:
    result = holdover("models", "delete", "nothing")
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr == "holdover: The model 'nothing' does not exist\n"


# ----------------------------------------------------------------------------------------------- raw


@pytest.mark.parametrize("path", ["/assistants?limit=1", "assistants?limit=1", "/v1/assistants?limit=1"])
def test_a_raw_call_takes_the_path_with_or_without_v1(holdover: Any, path: str) -> None:
    assert answered(holdover("api", "get", path))["object"] == "list"


def test_the_body_of_a_raw_call_is_an_option_a_file_or_standard_input(holdover: Any, tmp_path: Path) -> None:
    body = '{"model": "gpt-4o"}'
    (tmp_path / "body.json").write_text(body)
    words = ("api", "POST", "/assistants")
    assert answered(holdover(*words, "--data", body))["model"] == "gpt-4o"
    assert answered(holdover(*words, "--data", f"@{tmp_path / 'body.json'}"))["model"] == "gpt-4o"
    assert answered(holdover(*words, input=body))["model"] == "gpt-4o"


def test_a_refused_raw_call_prints_the_refusal(holdover: Any) -> None:
    result = holdover("api", "GET", "/nothing")
    assert json.loads(result.stdout)["error"]["type"] == "invalid_request_error"
    assert (result.exit_code, result.stderr) == (4, "holdover: The service answered 404.\n")


# ------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "asst_gone"], "No assistant found with id 'asst_gone'."),
        (["show", "thread_x"], "Invalid 'assistant_id': 'thread_x'. Expected an ID that begins with 'asst'."),
        (["create", "m", "--temperature", "3"], "Invalid 'temperature': decimal above maximum value."),
        (["create", "m", "--temperature", "nan"], "Invalid "),
        (["create", "m", "--name", "x" * 257], "Invalid 'name': string too long."),
        (["list", "--after", "asst_gone"], "No assistant found with id 'asst_gone'."),
    ],
)
def test_what_the_wire_refuses_ends_with_4(holdover: Any, arguments: list[str], sentence: str) -> None:
    result = holdover("assistants", *arguments)
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.startswith(f"holdover: {sentence}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["assistants", "create"], "Missing argument 'MODEL'."),
        (["assistants", "create", "m", "--tools", "{}"], "An array of JSON is expected."),
        (["assistants", "create", "m", "--tools", "[oh"], "This is not JSON"),
        (["assistants", "create", "m", "--tools", "@/nowhere"], "'/nowhere' cannot be read: No such file"),
        (["assistants", "create", "m", "--metadata", "team"], "'team' is not KEY=VALUE."),
        (["assistants", "create", "m", "--metadata", "a=1", "--metadata", "a=2"], "given twice"),
        (["assistants", "create", "m", "--response-format", "yaml"], "'yaml' is none of auto, text"),
        (["assistants", "create", "m", "--temperature", "warm"], "'warm' is not a valid float"),
        (["assistants", "modify", "asst_x"], "There is nothing to change"),
        (["assistants", "modify", "asst_x", "--null", "name", "--name", "x"], "name cannot have a value and be null"),
        (["assistants", "modify", "asst_x", "--null", "model"], "'model' is not one of 'name'"),
        (["assistants", "list", "--limit", "101"], "101 is not in the range"),
        (["assistants", "delete"], "Missing argument 'ASSISTANT_ID...'."),
        (["api", "FETCH", "/models"], "'FETCH' is not one of"),
        (["api", "GET", "http://127.0.0.1/v1/models"], "--base-url"),
        (["completion", "tcsh"], "'tcsh' is not one of"),
        (["serve", "--port", "abc"], "a port is a number from 0 to 65535"),
        (["serve", "--log-level", "loud"], "a log level is one of debug"),
    ],
)
def test_what_cannot_be_meant_ends_with_2(invoke: Any, arguments: list[str], part: str) -> None:
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("holdover: ")
    assert part in result.stderr
    assert result.stderr.count("\n") == 1


def test_nobody_listening_names_the_command_that_helps(invoke: Any, impatient: None) -> None:
    result = invoke("assistants", "list", "--base-url", "http://127.0.0.1:1/v1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "run: holdover serve" in result.stderr


def test_the_hosted_service_is_not_asked(invoke: Any) -> None:
    result = invoke("assistants", "list", "--base-url", "https://api.openai.com/v1")
    assert result.exit_code == 1
    assert "ended on 2026-08-26" in result.stderr


class Failing(BaseHTTPRequestHandler):
    """A service that fails and asks not to be asked again, or is asked for ``/slow`` and never answers."""

    def do_GET(self) -> None:
        if "slow" in self.path:
            self.rfile.read()  # until the caller goes away
            return
        body = b'{"error": {"message": "The \\u001b[31mserver\\nfailed.", "type": "server_error"}}'
        self.send_response(500)
        self.send_header("x-should-retry", "false")
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def failing_url() -> Any:
    with HTTPServer(("127.0.0.1", 0), Failing) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("arguments", [["models", "list"], ["api", "GET", "/models"]])
def test_a_failure_of_the_service_ends_with_5(invoke: Any, failing_url: str, arguments: list[str]) -> None:
    assert invoke(*arguments, "--base-url", failing_url).exit_code == 5


def test_a_message_is_one_harmless_line(invoke: Any, failing_url: str) -> None:
    result = invoke("models", "list", "--base-url", failing_url)
    assert result.stderr == "holdover: The \\u001b[31mserver failed.\n"


def test_no_answer_in_time_ends_with_3(invoke: Any, failing_url: str, impatient: None) -> None:
    result = invoke("models", "show", "slow", "--base-url", failing_url, "--timeout-s", "0.05")
    assert result.exit_code == 3
    assert result.stderr.startswith("holdover: No answer within 0.05 s")


def test_a_bug_is_told_without_its_text(invoke: Any, monkeypatch: pytest.MonkeyPatch, shared_url: str) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise KeyError("sk-secret")

    monkeypatch.setattr(Client, "list_models", fail)
    result = invoke("models", "list", "--base-url", shared_url)
    assert result.exit_code == 1
    assert result.stderr.startswith("holdover: This is a bug in Holdover (KeyError)")
    assert "sk-secret" not in result.output


def test_the_key_is_sent_and_not_shown(start_service: Any, invoke: Any) -> None:
    service = start_service(api_keys=["sk-known-to-the-service"])
    words = ("models", "list", "--base-url", service.base_url)
    assert answered(invoke(*words, "--api-key", "sk-known-to-the-service"))["object"] == "list"
    refused = invoke(*words, "--api-key", "sk-not-known-to-anybody")
    assert refused.exit_code == 4
    assert "sk-not-known-to-anybody" not in refused.output
