"""``include`` of a run: its events show the passages that searches found, and only where that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import holdover

PASSAGES: Any = ["step_details.tool_calls[*].file_search.results[*].content"]
ASKING: Any = {
    "role": "user",
    "content": '!call file_search {"query": "bridge"}\n!call note {}\n!then\n!call file_search {"query": "bridge"}',
}
NOTE: Any = {"type": "function", "function": {"name": "note", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def client() -> Iterator[holdover.Client]:
    pytest.importorskip("onnxruntime", reason='files cannot be searched without pip install "holdover[search]"')
    with holdover.embedded(settings={"aliases": {"*": "scripted"}}) as client:
        yield client


@pytest.fixture
def assistant_id(client: holdover.Client) -> str:
    file = client.create_file(b"The bridge is closed.", "assistants", filename="a.txt")
    store = client.create_vector_store(file_ids=[file.id])
    client.wait_for_vector_store(store.id)
    resources: Any = {"file_search": {"vector_store_ids": [store.id]}}
    return client.create_assistant("gpt-4o", tools=[{"type": "file_search"}, NOTE], tool_resources=resources).id


def shown(events: Any) -> list[bool]:
    """For each result that events tell of: whether its passage is there."""
    steps = [each.data for each in events if each.name in ("thread.run.step.delta", "thread.run.step.completed")]
    details = [getattr(step, "step_details", None) or step.delta.step_details for step in steps]
    calls = [call for each in details if each.type == "tool_calls" for call in each.tool_calls]
    results = [result for call in calls if call.type == "file_search" for result in call.file_search.results]
    return [bool(result.content) for result in results]


@pytest.mark.parametrize("include", [None, [], PASSAGES])
def test_a_run_shows_passages_where_its_creation_asks_for_them(
    client: holdover.Client, assistant_id: str, include: Any
) -> None:
    thread = client.create_thread(messages=[ASKING])
    with client.create_run(thread.id, assistant_id, include=include, stream=True) as stream:
        assert set(shown(stream)) == {bool(include)}
        run = stream.run
    assert run is not None
    assert run.status == "requires_action"
    created: Any = {"thread": {"messages": [ASKING]}, "include": include}
    with client.create_thread_and_run(assistant_id, stream=True, **created) as stream:
        assert set(shown(stream)) == {bool(include)}


@pytest.mark.parametrize("include", [None, PASSAGES])
def test_a_run_that_goes_on_shows_them_from_then_on(client: holdover.Client, assistant_id: str, include: Any) -> None:
    run = client.create_thread_and_run(assistant_id, thread={"messages": [ASKING]})
    run = client.wait_for_run(run.thread_id, run.id)
    assert run.required_action is not None
    outputs: Any = [
        {"tool_call_id": call.id, "output": "noted"} for call in run.required_action.submit_tool_outputs.tool_calls
    ]
    with client.submit_tool_outputs_to_run(run.thread_id, run.id, outputs, include=include, stream=True) as stream:
        assert set(shown(stream)) == {bool(include)}


def test_what_cannot_be_included_is_refused_before_anything_is_sent(client: holdover.Client) -> None:
    wrong: Any = ["everything"]
    with pytest.raises(holdover.BadRequestError, match="Supported values are"):
        client.create_run("thread_1", "asst_1", include=wrong)
    with pytest.raises(holdover.UnknownOptionError, match="did you mean 'include'"):
        client.create_run("thread_1", "asst_1", included=PASSAGES)  # type: ignore[call-overload]
