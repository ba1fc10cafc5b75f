"""``holdover runs follow``: text on a terminal, events in a pipe."""

from __future__ import annotations

import json
from typing import Any

import pytest

import holdover as library


@pytest.fixture
def begun(shared_url: str) -> Any:
    """Begin a run that does as it is told, and return the ids of its thread and its own."""

    def begin(text: str) -> tuple[str, str]:
        with library.Client(base_url=shared_url) as client:
            tools: Any = [{"type": "function", "function": {"name": "get_weather"}}]
            assistant = client.create_assistant("scripted", tools=tools)
            thread: Any = {"messages": [{"role": "user", "content": text}]}
            made = client.create_thread_and_run(assistant.id, thread=thread)
            client.wait_for_run(made.thread_id, made.id)
            return made.thread_id, made.id

    return begin


def test_a_pipe_gets_the_events_one_json_object_a_line(holdover: Any, begun: Any) -> None:
    ids = begun("!say One two")
    result = holdover("runs", "follow", *ids)
    assert (result.exit_code, result.stderr) == (0, "")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert {frozenset(each) for each in events} == {frozenset(("event", "data"))}
    assert [each["event"] for each in events][-2:] == ["thread.run.step.completed", "thread.run.completed"]
    assert events[-1]["data"]["id"] == ids[1]
    rest = holdover("runs", "follow", *ids, "--last-event-id", str(len(events) - 1))
    assert [json.loads(line)["event"] for line in rest.stdout.splitlines()] == ["thread.run.completed"]


def test_a_terminal_gets_the_text(terminal: Any, shared_url: str, begun: Any) -> None:
    code, shown = terminal("runs", "follow", *begun("!say One \x1b[31mtwo"), OPENAI_BASE_URL=shared_url)
    assert (code, shown) == (0, "One \\u001b[31mtwo\n")


def test_a_terminal_gets_the_rest_of_a_text_once(terminal: Any, holdover: Any, shared_url: str, begun: Any) -> None:
    ids = begun("!say One two three four")
    told = [json.loads(line) for line in holdover("runs", "follow", *ids).stdout.splitlines()]
    deltas = [number for number, each in enumerate(told, 1) if each["event"] == "thread.message.delta"]
    assert len(deltas) == 4
    code, shown = terminal("runs", "follow", *ids, "--last-event-id", str(deltas[1]), OPENAI_BASE_URL=shared_url)
    assert (code, shown.strip()) == (0, "three four")


def test_a_terminal_is_told_what_a_run_waits_for_and_why_it_failed(terminal: Any, shared_url: str, begun: Any) -> None:
    ids = begun('!call get_weather {"city": "Rome"}')
    code, shown = terminal("runs", "follow", *ids, OPENAI_BASE_URL=shared_url)
    assert code == 0
    assert 'wants the output of get_weather({"city": "Rome"})' in shown
    assert "holdover runs submit {} {}".format(*ids) in shown
    code, shown = terminal("runs", "follow", *begun("!fail server_error Out of luck."), OPENAI_BASE_URL=shared_url)
    assert (code, shown) == (0, "The run is failed: Out of luck.\n")


def test_an_error_tells_in_the_exit_code(holdover: Any) -> None:
    result = holdover("runs", "follow", "thread_abc", "run_abc")
    assert result.exit_code == 4
    assert "No thread found with id 'thread_abc'" in result.stderr
