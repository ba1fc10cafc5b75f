"""The fixture ``holdover_server``, used as users use it."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture
def passes(pytester: pytest.Pytester) -> object:
    """Run a module of tests, all of which must pass, in a process of their own."""

    def run(code: str, *arguments: str, passed: int, **outcomes: int) -> None:
        pytester.makepyfile(code)
        words = ["-p", "pytest_holdover", "-p", "no:cacheprovider", "-W", "ignore::DeprecationWarning", *arguments]
        pytester.runpytest_subprocess(*words, timeout=60).assert_outcomes(passed=passed, **outcomes)

    return run


CONVERSATION = """
from openai import OpenAI

WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}


def ask(client, question):  # the code under test
    assistant = client.beta.assistants.create(model="gpt-4o", instructions="Be kind.", tools=[WEATHER])
    run = client.beta.threads.create_and_run_poll(
        assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": question}]}
    )
    if run.status == "requires_action":
        call = run.required_action.submit_tool_outputs.tool_calls[0]
        run = client.beta.threads.runs.submit_tool_outputs_and_poll(
            run_id=run.id, thread_id=run.thread_id, tool_outputs=[{"tool_call_id": call.id, "output": "sunny"}]
        )
    assert run.status == "completed"
    return client.beta.threads.messages.list(run.thread_id).data[0].content[0].text.value


def test_a_conversation(holdover_server):
    client = OpenAI(base_url=holdover_server.base_url, api_key="any")
    holdover_server.reply('!call get_weather {"city": "Rome"}', "It is sunny in Rome.")
    assert ask(client, "How is Rome?") == "It is sunny in Rome."
    first, second = holdover_server.requests
    assert first.instructions == "Be kind."
    assert second.turns[-1].output == "sunny"


def test_the_next_test_finds_nothing_and_a_model_that_knows_nothing(holdover_server):
    client = OpenAI(base_url=holdover_server.base_url, api_key="any")
    assert client.beta.assistants.list().data == []
    assert holdover_server.requests == []
    assert ask(client, "hello") == "You said: hello"
"""


def test_the_official_sdk_talks_to_it_and_every_test_begins_anew(passes: object) -> None:
    passes(CONVERSATION, passed=2)  # type: ignore[operator]


CLIENTS = """
import asyncio

import holdover
from holdover.testing import HoldoverServer

seen = []


def test_it_has_clients_of_its_own(holdover_server: HoldoverServer):
    seen.append(holdover_server.base_url)
    with holdover_server.client(max_retries=0) as client:
        client.create_assistant("gpt-4o", name="Tutor")

    async def names():
        async with holdover_server.async_client() as client:
            return [each.name async for each in await client.list_assistants()]

    assert asyncio.run(names()) == ["Tutor"]


def test_the_environment_leads_to_it(holdover_server, monkeypatch):
    for name, value in holdover_server.environment.items():
        monkeypatch.setenv(name, value)
    holdover.configure()
    assert holdover.list_assistants().data == []
    assert seen == [holdover_server.base_url]  # the port is that of the whole session


def test_a_run_that_never_ends_holds_nothing_up(holdover_server):
    holdover_server.reply("!hang")
    with holdover_server.client() as client:
        assistant = client.create_assistant("gpt-4o")
        client.create_thread_and_run(assistant.id, thread={"messages": [{"role": "user", "content": "hi"}]})


def test_a_failure_can_be_had(holdover_server):
    holdover_server.reply("!fail rate_limit_exceeded Too much.", "Better.")
    with holdover_server.client() as client:
        assistant = client.create_assistant("gpt-4o")
        thread = client.create_thread(messages=[{"role": "user", "content": "hi"}])
        run = client.run_and_wait(thread.id, assistant.id)
        assert (run.status, run.last_error.message) == ("failed", "Too much.")
        assert client.run_and_wait(thread.id, assistant.id).status == "completed"
        assert next(iter(client.list_messages(thread.id))).text == "Better."
"""


def test_it_can_be_found_scripted_and_left(passes: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDOVER_API_KEYS", "sk-that-no-test-knows")
    passes(CLIENTS, passed=4)  # type: ignore[operator]


def test_it_costs_nothing_where_it_is_not_used() -> None:
    program = (
        "import sys, pytest_holdover; print(*[name for name in sys.modules if name.partition('.')[0] == 'holdover'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
