"""Runs, as the official SDK asks for them: polling, streaming, function calls, cancelling, limits.

The model does what the user's message tells it to (`holdover.models.scripted`).
"""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai import AssistantEventHandler

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
TWO_CALLS = '!call get_weather {"city": "Paris"}\n!call get_weather {"city": "Rome"}'
FAST = {"poll_interval_ms": 10}


@pytest.fixture
def client(shared_url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=shared_url, api_key="sk-any", max_retries=0)


@pytest.fixture
def assistant(client: openai.OpenAI) -> Any:
    return client.beta.assistants.create(model="gpt-4o", instructions="You are kind.", tools=[WEATHER])  # type: ignore[list-item]


def ask(client: openai.OpenAI, text: str) -> str:
    return client.beta.threads.create(messages=[{"role": "user", "content": text}]).id


def said(client: openai.OpenAI, thread_id: str) -> list[str]:
    messages = client.beta.threads.messages.list(thread_id, order="asc").data
    return [part.text.value for each in messages for part in each.content if part.type == "text"]


def test_a_conversation_by_polling(client: openai.OpenAI, assistant: Any) -> None:
    thread_id = ask(client, "Hello there.")
    run = client.beta.threads.runs.create_and_poll(thread_id=thread_id, assistant_id=assistant.id, **FAST)
    assert (run.status, run.expires_at, run.last_error) == ("completed", None, None)
    assert run.usage is not None
    assert run.usage.total_tokens == run.usage.prompt_tokens + run.usage.completion_tokens > 0
    assert said(client, thread_id) == ["Hello there.", "You said: Hello there."]
    (step,) = client.beta.threads.runs.steps.list(run.id, thread_id=thread_id).data
    assert (step.type, step.status) == ("message_creation", "completed")
    client.beta.threads.messages.create(thread_id, role="user", content="And again.")
    client.beta.threads.runs.create_and_poll(thread_id=thread_id, assistant_id=assistant.id, **FAST)
    assert said(client, thread_id)[2:] == ["And again.", "You said: And again."]


class Heard(AssistantEventHandler):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.text = ""

    def on_event(self, event: Any) -> None:
        self.events.append(event.event)

    def on_text_delta(self, delta: Any, snapshot: Any) -> None:
        self.text += delta.value


ANSWER = [
    "thread.run.created",
    "thread.run.queued",
    "thread.run.in_progress",
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.delta",
    "thread.message.delta",
    "thread.message.completed",
    "thread.run.step.completed",
    "thread.run.completed",
]


def test_a_run_by_its_events(client: openai.OpenAI, assistant: Any) -> None:
    thread_id = ask(client, "!say One two three")
    heard = Heard()
    with client.beta.threads.runs.stream(thread_id=thread_id, assistant_id=assistant.id, event_handler=heard) as stream:
        stream.until_done()
    assert heard.events == ANSWER
    assert heard.text == "One two three"
    assert heard.get_final_run().status == "completed"
    (message,) = heard.get_final_messages()
    assert [part.text.value for part in message.content if part.type == "text"] == ["One two three"]


def test_a_thread_that_is_made_with_its_run(client: openai.OpenAI, assistant: Any) -> None:
    thread: Any = {"messages": [{"role": "user", "content": "!say Yes"}]}
    run = client.beta.threads.create_and_run_poll(assistant_id=assistant.id, thread=thread, **FAST)
    assert run.status == "completed"
    assert said(client, run.thread_id)[1:] == ["Yes"]
    with client.beta.threads.create_and_run_stream(assistant_id=assistant.id, thread=thread) as stream:
        events = [each.event for each in stream]
    assert events[:2] == ["thread.created", "thread.run.created"]


def test_two_parallel_calls_that_are_answered_in_a_stream(client: openai.OpenAI, assistant: Any) -> None:
    thread_id = ask(client, TWO_CALLS)
    with client.beta.threads.runs.stream(thread_id=thread_id, assistant_id=assistant.id) as stream:
        events = [each.event for each in stream]
        (snapshot,) = stream.get_final_run_steps()
    assert events[-1] == "thread.run.requires_action"
    assert events.count("thread.run.step.delta") >= 4
    run = stream.get_final_run()
    assert run.required_action is not None
    calls = run.required_action.submit_tool_outputs.tool_calls
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]
    accumulated: Any = snapshot.step_details
    assert [each.function.arguments for each in accumulated.tool_calls] == [each.function.arguments for each in calls]
    outputs: Any = [{"tool_call_id": call.id, "output": f"{20 + n} degrees"} for n, call in enumerate(calls)]
    with client.beta.threads.runs.submit_tool_outputs_stream(
        run_id=run.id, thread_id=thread_id, tool_outputs=outputs
    ) as stream:
        events = [each.event for each in stream]
    assert events[:4] == [
        "thread.run.step.completed",
        "thread.run.queued",
        "thread.run.in_progress",
        "thread.run.step.created",
    ]
    assert said(client, thread_id)[-1] == "The answer is: 20 degrees; 21 degrees"
    message_step, call_step = client.beta.threads.runs.steps.list(run.id, thread_id=thread_id).data
    details: Any = call_step.step_details
    assert [each.function.output for each in details.tool_calls] == ["20 degrees", "21 degrees"]
    final = client.beta.threads.runs.retrieve(run.id, thread_id=thread_id)
    assert final.usage is not None
    assert message_step.usage is not None
    assert call_step.usage is not None
    assert final.usage.total_tokens == message_step.usage.total_tokens + call_step.usage.total_tokens


@pytest.fixture
def waiting(client: openai.OpenAI, assistant: Any) -> Any:
    """A run that waits for outputs."""
    return client.beta.threads.runs.create_and_poll(
        thread_id=ask(client, '!call get_weather {"city": "Paris"}'), assistant_id=assistant.id, **FAST
    )


def test_a_locked_thread_takes_nothing(client: openai.OpenAI, assistant: Any, waiting: Any) -> None:
    assert waiting.status == "requires_action"
    thread_id = waiting.thread_id
    with pytest.raises(openai.BadRequestError) as caught:
        client.beta.threads.messages.create(thread_id, role="user", content="More.")
    assert caught.value.body["message"] == (  # type: ignore[index]
        f"Can't add messages to {thread_id} while a run {waiting.id} is active."
    )
    with pytest.raises(openai.BadRequestError) as caught:
        client.beta.threads.runs.create(thread_id, assistant_id=assistant.id)
    assert caught.value.body["message"] == (  # type: ignore[index]
        f"Thread {thread_id} already has an active run {waiting.id}."
    )
    assert len(said(client, thread_id)) == 1
    client.beta.threads.update(thread_id, metadata={"seen": "yes"})


def test_outputs_must_be_all_and_only_those_asked_for(client: openai.OpenAI, waiting: Any) -> None:
    (call,) = waiting.required_action.submit_tool_outputs.tool_calls
    refused: list[list[dict[str, str]]] = [[], [{"tool_call_id": "call_x", "output": "1"}]]
    for outputs in refused:
        with pytest.raises(openai.BadRequestError, match="Expected tool outputs for call_ids"):
            client.beta.threads.runs.submit_tool_outputs(
                run_id=waiting.id,
                thread_id=waiting.thread_id,
                tool_outputs=outputs,  # type: ignore[arg-type]
            )
    run = client.beta.threads.runs.submit_tool_outputs(
        run_id=waiting.id, thread_id=waiting.thread_id, tool_outputs=[{"tool_call_id": call.id, "output": "warm"}]
    )
    assert (run.status, run.required_action, run.started_at) == ("queued", None, waiting.started_at)
    done = client.beta.threads.runs.poll(run.id, thread_id=waiting.thread_id, **FAST)
    assert (done.status, done.expires_at) == ("completed", None)
    with pytest.raises(openai.BadRequestError, match='Runs in status "completed" do not accept tool outputs.'):
        client.beta.threads.runs.submit_tool_outputs(
            run_id=waiting.id, thread_id=waiting.thread_id, tool_outputs=[{"tool_call_id": call.id, "output": "warm"}]
        )


def test_a_run_that_waits_is_cancelled(client: openai.OpenAI, waiting: Any) -> None:
    assert client.beta.threads.runs.cancel(waiting.id, thread_id=waiting.thread_id).status == "cancelling"
    run = client.beta.threads.runs.poll(waiting.id, thread_id=waiting.thread_id, **FAST)
    assert run.status == "cancelled"
    assert run.cancelled_at is not None
    with pytest.raises(openai.BadRequestError, match="Cannot cancel run with status 'cancelled'."):
        client.beta.threads.runs.cancel(waiting.id, thread_id=waiting.thread_id)
    client.beta.threads.messages.create(waiting.thread_id, role="user", content="More.")


def test_a_run_at_work_is_cancelled(client: openai.OpenAI, assistant: Any) -> None:
    thread_id = ask(client, "!say a b c\n!hang")
    with client.beta.threads.runs.stream(thread_id=thread_id, assistant_id=assistant.id) as stream:
        events = []
        for event in stream:
            events.append(event.event)
            if events.count("thread.message.delta") == 3 and event.event == "thread.message.delta":
                assert stream.current_run is not None
                client.beta.threads.runs.cancel(stream.current_run.id, thread_id=thread_id)
    assert events[-5:] == [
        "thread.message.delta",
        "thread.message.incomplete",
        "thread.run.step.cancelled",
        "thread.run.cancelling",
        "thread.run.cancelled",
    ]
    assert said(client, thread_id)[-1] == "a b c"


@pytest.mark.parametrize(
    ("script", "code", "message"),
    [
        ("!fail rate_limit_exceeded Slow down.", "rate_limit_exceeded", "Slow down."),
        ("!say a\n!fail server_error It broke.", "server_error", "It broke."),
        ("!fail invalid_prompt Not that.", "invalid_prompt", "Not that."),
    ],
)
def test_a_run_that_fails_says_why(client: openai.OpenAI, assistant: Any, script: str, code: str, message: str) -> None:
    run = client.beta.threads.runs.create_and_poll(thread_id=ask(client, script), assistant_id=assistant.id, **FAST)
    assert run.status == "failed"
    assert run.last_error is not None
    assert (run.last_error.code, run.last_error.message) == (code, message)


def test_a_limit_ends_a_run_incomplete(client: openai.OpenAI, assistant: Any) -> None:
    thread_id = ask(client, "!say a b c d e f")
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread_id, assistant_id=assistant.id, max_completion_tokens=3, **FAST
    )
    assert run.status == "incomplete"
    assert run.incomplete_details is not None
    assert run.incomplete_details.reason == "max_completion_tokens"
    assert said(client, thread_id)[-1] == "a b c"


def test_an_answer_of_a_schema(client: openai.OpenAI, assistant: Any) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    thread_id = ask(client, "Where?")
    client.beta.threads.runs.create_and_poll(
        thread_id=thread_id, assistant_id=assistant.id, response_format=wanted, **FAST
    )
    assert json.loads(said(client, thread_id)[-1]) == {"city": ""}


def test_a_run_expires(start_service: Any) -> None:
    service = start_service(run_lifetime_s=1)
    client = openai.OpenAI(base_url=service.base_url, api_key="sk-any", max_retries=0)
    assistant = client.beta.assistants.create(model="gpt-4o", tools=[WEATHER])  # type: ignore[list-item]
    for script in ("!say a b\n!hang", '!call get_weather {"city": "Paris"}'):
        thread_id = ask(client, script)
        run = client.beta.threads.runs.create(thread_id, assistant_id=assistant.id)
        assert run.expires_at == run.created_at + 1
        while run.status in ("queued", "in_progress", "requires_action"):
            run = client.beta.threads.runs.poll(run.id, thread_id=thread_id, **FAST)
        assert run.status == "expired"
        client.beta.threads.messages.create(thread_id, role="user", content="More.")


def test_a_run_needs_something_to_answer(client: openai.OpenAI) -> None:
    assistant = client.beta.assistants.create(model="gpt-4o")
    thread_id = client.beta.threads.create().id
    with pytest.raises(openai.BadRequestError, match="Run creation requires a Thread with a user message") as caught:
        client.beta.threads.runs.create(thread_id, assistant_id=assistant.id, stream=True)
    assert caught.value.code == "invalid_thread"


def test_a_thread_may_be_deleted_under_its_run(client: openai.OpenAI, assistant: Any) -> None:
    thread_id = ask(client, "!say a\n!hang")
    with client.beta.threads.runs.stream(thread_id=thread_id, assistant_id=assistant.id) as stream:
        events = []
        for event in stream:
            events.append(event.event)
            if event.event == "thread.message.delta":
                client.beta.threads.delete(thread_id)
    assert events[-1] == "thread.run.cancelled"
    with pytest.raises(openai.NotFoundError):
        client.beta.threads.retrieve(thread_id)


def test_a_listener_that_leaves_changes_nothing(client: openai.OpenAI, assistant: Any) -> None:
    thread_id = ask(client, "!delay 0.01\n!say a b c d e f")
    with client.beta.threads.runs.stream(thread_id=thread_id, assistant_id=assistant.id) as stream:
        for event in stream:
            if event.event == "thread.message.delta":
                break
        assert stream.current_run is not None
        run_id = stream.current_run.id
    assert client.beta.threads.runs.poll(run_id, thread_id=thread_id, **FAST).status == "completed"
    assert said(client, thread_id)[-1] == "a b c d e f"
