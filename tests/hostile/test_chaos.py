"""A service that is killed again and again while it works: nothing acknowledged is lost, stuck or doubled."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import Service, running_service

import holdover
from holdover import Client

KILLS = int(os.environ.get("CHAOS_KILLS", "8"))
CLIENTS = 4
#: What users ask, and how each run has to end.
SCRIPTS = {
    "!delay 0.002\n!say one two three four": {"completed"},
    '!delay 0.002\n!call f {"a": 1}\n!then\n!say five six': {"completed"},
    "!delay 0.002\n!say seven\n!fail server_error": {"failed"},
    "!say eight\n!hang": {"cancelled"},
}
FUNCTION: Any = {"type": "function", "function": {"name": "f"}}


class Users:
    """Users who ask, answer calls, cancel, compete for a thread, and remember what was acknowledged."""

    def __init__(self, port: Callable[[], str], seed: int) -> None:
        self._address = port
        self._seed = seed
        self.acknowledged: dict[str, tuple[str, str]] = {}
        self.refused_second_runs = 0
        self.stop = threading.Event()
        self.errors: list[BaseException] = []

    def live(self, number: int) -> None:
        chance = random.Random(self._seed * 1000 + number)
        client = Client(base_url="http://unused/v1", max_retries=0, timeout_s=5)
        try:
            while not self.stop.is_set():
                self._converse(client, chance)
        except BaseException as error:
            self.errors.append(error)

    def _converse(self, client: Client, chance: random.Random) -> None:
        script = chance.choice(list(SCRIPTS))
        thread = self._insist(lambda: client.create_thread(messages=[_said(script)], base_url=self._address()))
        assistant = self._insist(
            lambda: client.create_assistant("gpt-4o", instructions="x", tools=[FUNCTION], base_url=self._address())
        )
        run = self._insist(lambda: client.create_run(thread.id, assistant.id, base_url=self._address()))
        if run is None:
            return
        self.acknowledged[run.id] = (thread.id, script)
        try:
            client.create_run(thread.id, assistant.id, base_url=self._address())
        except holdover.BadRequestError as error:
            self.refused_second_runs += "already has an active run" in error.message
        except holdover.APIConnectionError:
            pass

    def _insist(self, ask: Callable[[], Any]) -> Any:
        """Ask until there is an answer: a creation whose answer was lost may have been made, unknown to its user."""
        while True:
            try:
                return ask()
            except (holdover.APIConnectionError, holdover.InternalServerError):
                if self.stop.is_set():
                    raise SystemExit from None
                self.stop.wait(0.01)
            except holdover.BadRequestError as error:
                if "already has an active run" in error.message:
                    return None  # made by a request whose answer was lost
                raise


def _said(script: str) -> Any:
    return {"role": "user", "content": script}


def _see_to_it(client: Client, run_id: str, thread_id: str) -> str:
    """Have a run end: answer its calls, cancel what hangs; return its status."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        run = client.get_run(thread_id, run_id)
        if run.is_terminal:
            return run.status
        try:
            if run.required_action is not None:
                calls = run.required_action.submit_tool_outputs.tool_calls
                outputs: Any = [{"tool_call_id": call.id, "output": "done"} for call in calls]
                client.submit_tool_outputs_to_run(thread_id, run_id, outputs)
            elif run.status == "in_progress" and "!hang" in client.list_messages(thread_id, order="asc").data[0].text:
                client.cancel_run(thread_id, run_id)
        except holdover.BadRequestError:
            pass  # it went on meanwhile
        time.sleep(0.01)
    return f"stuck in {run.status}"


def test_killed_again_and_again_a_service_loses_and_doubles_nothing(tmp_path: Path) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))
    print(f"CHAOS_SEED={seed}")  # shown when it fails
    chance = random.Random(seed)
    current: list[Service] = []
    users = Users(lambda: current[-1].base_url, seed)
    folder = tmp_path / "service"
    threads = []
    for _ in range(KILLS):
        with running_service(folder) as service:
            current.append(service)
            if not threads:
                threads = [threading.Thread(target=users.live, args=(n,), daemon=True) for n in range(CLIENTS)]
                for each in threads:
                    each.start()
            time.sleep(chance.uniform(0.1, 0.4))  # what is killed must have something to do
            service.kill()
    users.stop.set()
    for each in threads:
        each.join(20)
    assert [each for each in users.errors if not isinstance(each, SystemExit)] == []
    assert len(users.acknowledged) > KILLS
    with running_service(folder) as service:
        client = Client(base_url=service.base_url)
        for run_id, (thread_id, script) in users.acknowledged.items():
            assert _see_to_it(client, run_id, thread_id) in SCRIPTS[script] | {"failed"}, script
            _check_whole(client, thread_id, run_id, script)


def _check_whole(client: Client, thread_id: str, run_id: str, script: str) -> None:
    """A run's steps and messages are there once, and none is left half-done."""
    run = client.get_run(thread_id, run_id)
    steps = list(client.list_run_steps(thread_id, run_id, order="asc"))
    messages = [each for each in client.list_messages(thread_id, order="asc") if each.run_id == run_id]
    assert all(step.status != "in_progress" for step in steps)
    assert all(message.status != "in_progress" for message in messages)
    if run.status == "completed":
        said = {"!delay 0.002\n!say one two three four": "one two three four"}.get(script, "five six")
        assert [message.text for message in messages] == [said]
        expected = ["message_creation"] if "!call" not in script else ["tool_calls", "message_creation"]
        assert [step.type for step in steps] == expected
    client.create_message(thread_id, "user", "The thread is free.")
