"""Services and workers of one PostgreSQL database, as the processes that users start; and two of one SQLite file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import postgres
from tests.conftest import STEERING, Service

from holdover import Client, InternalServerError, Run

Start = Callable[..., "Process"]


class Process:
    """A process of ours, and what it said when it began."""

    def __init__(self, arguments: tuple[str, ...]) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(STEERING)}
        environment |= {"HOLDOVER_DEFAULT_MODEL": "scripted", "HOLDOVER_LOG_LEVEL": "warning"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "holdover", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self._process.stderr is not None
        self.greeting = ""
        while "Ctrl-C stops it." not in self.greeting:
            line = self._process.stderr.readline()
            assert line, self.greeting
            self.greeting += line

    @property
    def base_url(self) -> str:
        return self.greeting.splitlines()[0].split()[-1] + "/v1"

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """End it; return its exit status, and what it said since it began."""
        self._process.send_signal(number)
        _, said = self._process.communicate(timeout=20)
        return self._process.returncode, said


@pytest.fixture
async def url(tmp_path: Path) -> str:
    return await postgres.database_url(tmp_path)


@pytest.fixture
def start(url: str) -> Iterator[Start]:
    """Start processes on one PostgreSQL database; they end with the test."""
    started: list[Process] = []

    def begin(command: str, *arguments: str) -> Process:
        special = ("--port", "0", "--no-worker") if command == "serve" else ()
        started.append(Process((command, *special, "--database", url, *arguments)))
        return started[-1]

    yield begin
    for each in started:
        each._process.kill()
        each._process.communicate()


def ask(client: Client, script: str) -> Run:
    assistant = client.create_assistant(
        "gpt-4o", instructions="x", tools=[{"type": "function", "function": {"name": "f"}}]
    )
    thread = client.create_thread(messages=[{"role": "user", "content": script}])
    return client.create_run(thread.id, assistant.id)


def until(client: Client, run: Run, *statuses: str, within_s: float = 20) -> Run:
    deadline = time.monotonic() + within_s
    while (seen := client.get_run(run.thread_id, run.id)).status not in statuses:
        assert time.monotonic() < deadline, seen.status
        time.sleep(0.01)  # another process tells of it only when it is asked
    return seen


def test_what_one_service_takes_workers_drive_and_another_shows(start: Start) -> None:
    services = [start("serve"), start("serve")]
    with Client(base_url=services[0].base_url) as one, Client(base_url=services[1].base_url) as other:
        run = ask(one, '!call f {"a": 1}\n!then\n!say done')
        assert one.get_run(run.thread_id, run.id).status == "queued", "there is no worker yet"
        workers = [start("worker"), start("worker")]
        assert all("works for postgresql://" in each.greeting for each in workers)
        waiting = until(other, run, "requires_action")
        assert waiting.required_action is not None
        (call,) = waiting.required_action.submit_tool_outputs.tool_calls
        other.submit_tool_outputs_to_run(run.thread_id, run.id, [{"tool_call_id": call.id, "output": "x"}])
        until(one, run, "completed")
        assert one.list_messages(run.thread_id).data[0].text == "done"
        hanging = ask(other, "!hang")
        until(one, hanging, "in_progress")
        one.cancel_run(hanging.thread_id, hanging.id)
        until(other, hanging, "cancelled")
        events = [each.name for each in one.create_thread_and_run(run.assistant_id, stream=True)]
        assert events[-1] == "thread.run.completed", "it drives this one itself"
    for each in (*workers, *services):
        assert each.stop() == (0, "")


def test_a_worker_that_is_told_to_stop_gives_its_runs_back_at_once(start: Start) -> None:
    lease = ("--lease-s", "600", "--drain-s", "0.2")
    service, first = start("serve", *lease), start("worker", *lease)
    with Client(base_url=service.base_url) as client:
        run = ask(client, "!hang")
        until(client, run, "in_progress")
        second = start("worker", *lease)
        assert first.stop() == (0, "")
        until(client, run, "in_progress")
        client.cancel_run(run.thread_id, run.id)
        until(client, run, "cancelled")
        assert second.stop(signal.SIGINT) == (0, "")


def test_a_run_whose_worker_was_killed_is_another_s_soon(start: Start) -> None:
    service, first = start("serve"), start("worker", "--lease-s", "0.5")
    with Client(base_url=service.base_url) as client:
        run = ask(client, "!delay 0.4\n!say a b c")
        until(client, run, "in_progress")
        first.stop(signal.SIGKILL)
        start("worker", "--lease-s", "0.5")
        until(client, run, "completed")
        assert [each.text for each in client.list_messages(run.thread_id, run_id=run.id)] == ["a b c"]


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Server]:
    """A server of the test's own, to be stopped."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="hpg-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        try:
            started = postgres.Server(Path(folder))
            started.start()
        except postgres.Unavailable as error:
            pytest.skip(f"no PostgreSQL: {error}")
        started.end_with_this_process()
        yield started
        started.stop("immediate")


def test_a_database_that_was_away_finds_its_services_and_workers_again(server: postgres.Server) -> None:
    where = ("--database", server.url, "--lease-s", "1")
    service, worker = Process(("serve", "--port", "0", "--no-worker", *where)), Process(("worker", *where))
    try:
        with Client(base_url=service.base_url, max_retries=0) as client:
            run = ask(client, "!say a")
            until(client, run, "completed")
            server.stop("immediate")
            with pytest.raises(InternalServerError):
                client.get_run(run.thread_id, run.id)
            server.start()
            until(client, ask(client, "!say b"), "completed")
        for each in (worker, service):
            code, said = each.stop()
            assert code == 0
            assert "the database does not work" in said
            assert each is service or "Traceback" not in said
    finally:
        for each in (worker, service):
            each._process.kill()
            each._process.communicate()


# ---------------------------------------------------------------------------------------- one SQLite file


def test_a_second_process_at_a_sqlite_file_is_told_who_has_it(
    service: Service, command: list[str], tmp_path: Path
) -> None:
    words = [*command, "serve", "--port", "0", "--database", str(service.database)]
    second = subprocess.run(words, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert second.stderr == (
        f"holdover: The database {service.database} is in use by another process (pid {service.process.pid}). "
        "Stop that one, or name another file: one SQLite file serves one process.\n"
    )


def test_a_service_that_was_killed_goes_on_with_its_runs_as_soon_as_it_is_there_again(
    start_service: Callable[..., Service],
) -> None:
    """Whoever held a lease on a SQLite file is gone: none is waited for."""
    lease: Any = {"lease_s": 600}
    service = start_service(**lease)
    with Client(base_url=service.base_url) as client:
        run = ask(client, "!delay 0.3\n!say a b c")
        until(client, run, "in_progress")
    service.kill()
    service = start_service(**lease)
    with Client(base_url=service.base_url) as client:
        until(client, run, "completed", within_s=10)
        assert [each.text for each in client.list_messages(run.thread_id, run_id=run.id)] == ["a b c"]
