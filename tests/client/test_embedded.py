"""``holdover.embedded()``: the service inside this process, without a port."""

from __future__ import annotations

import asyncio
import queue
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import holdover
from holdover import Data, Failure, Finish
from holdover.client.transports import Request, TransportFailure
from holdover.client.transports.asgi import ThreadedASGITransport
from holdover.service.embedded import _loop_in_thread

from .faces import Face


def test_what_is_made_in_a_file_is_there_when_it_is_opened_again(face: Face, tmp_path: Path) -> None:
    file = tmp_path / "assistants.db"
    with face.embedded(file) as client:
        made = client.create_assistant("gpt-4o", name="Tutor")
    with face.embedded(str(file)) as client:
        assert client.get_assistant(made.id) == made


def test_without_a_file_everything_is_gone_when_the_block_ends(face: Face, tmp_path: Path) -> None:
    with face.embedded() as client:
        client.create_assistant("gpt-4o")
    with face.embedded() as client:
        assert client.list_assistants().data == []


def test_two_services_without_a_file_know_nothing_of_each_other(face: Face) -> None:
    with face.embedded() as one, face.embedded() as other:
        one.create_assistant("gpt-4o")
        assert other.list_assistants().data == []


def test_a_second_service_on_the_same_file_is_refused(face: Face, tmp_path: Path) -> None:
    file = tmp_path / "assistants.db"
    with face.embedded(file) as client:
        with pytest.raises(holdover.ConfigurationError, match=r"assistants\.db") as caught, face.embedded(file):
            pass
        assert "another" in str(caught.value).lower() or "already" in str(caught.value).lower()
        client.create_assistant("gpt-4o")
    with face.embedded(file) as client:
        assert len(client.list_assistants().data) == 1


def test_a_second_process_on_the_same_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "assistants.db"
    program = "import sys, holdover\nwith holdover.embedded(sys.argv[1]): pass"
    with holdover.embedded(file):
        done = subprocess.run([sys.executable, "-c", program, str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "ConfigurationError" in done.stderr


def test_a_file_that_cannot_be_used_is_a_setting_at_fault(face: Face, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(b"this is no database at all, only some bytes of text\n" * 100)
    for path in (other, tmp_path):
        with pytest.raises(holdover.ConfigurationError), face.embedded(path):
            pass
    assert other.read_bytes().startswith(b"this is no database")


def test_the_options_of_a_client_are_taken(face: Face) -> None:
    with face.embedded(timeout_s=7, http_headers={"OpenAI-Organization": "org-1"}, max_retries=0) as client:
        assert client.request("GET", "/models").headers["openai-organization"] == "org-1"
    with pytest.raises(TypeError), face.embedded(nonsense=1):
        pass


def test_no_address_in_the_environment_leads_it_astray(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    for base_url in ("https://api.openai.com/v1", "http://gateway.example/openai/v2"):
        monkeypatch.setenv("OPENAI_BASE_URL", base_url)
        with face.embedded() as client:
            assert client.list_assistants().data == []


def test_no_key_is_needed_and_any_will_do(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    with face.embedded() as client:
        assert client.list_assistants().data == []
        assert client.list_assistants(openai_api_key="sk-call").data == []


def test_settings_of_a_service_in_the_environment_are_not_its_own(
    face: Face, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOLDOVER_API_KEYS", "sk-1")
    monkeypatch.setenv("HOLDOVER_DATABASE_URL", str(tmp_path / "service.db"))
    with face.embedded() as client:
        client.create_assistant("gpt-4o")
    assert not (tmp_path / "service.db").exists()


def test_it_opens_no_socket_and_leaves_no_thread(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError("a connection is opened")

    before = set(threading.enumerate())
    with face.embedded() as client:
        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket.socket, "bind", refuse)
        client.create_assistant("gpt-4o")
    assert not [each for each in set(threading.enumerate()) - before if each.name.startswith("holdover")]


def test_who_still_hears_a_run_when_the_service_ends_is_told(face: Face) -> None:
    mailbox: Any = asyncio.Queue() if face.is_async else queue.Queue()

    def taken() -> Any:
        return face.wait_for(asyncio.wait_for(mailbox.get(), 10)) if face.is_async else mailbox.get(timeout=10)

    with face.embedded() as client:
        assistant = client.create_assistant("scripted")
        thread = {"messages": [{"role": "user", "content": "!hang"}]}
        client.create_thread_and_run(assistant.id, thread=thread, stream_to=mailbox, background=True)
        while taken().value.name != "thread.run.in_progress":
            pass
    while isinstance(told := taken(), Data):
        pass
    assert isinstance(told.error, holdover.APIConnectionError)
    with pytest.raises(holdover.APIConnectionError):
        client.list_assistants()
    assert client.pauses == []  # nothing can come of trying again


def test_a_client_that_was_closed_can_be_used_again_while_the_service_is_there(face: Face) -> None:
    with face.embedded() as client:
        made = client.create_assistant("gpt-4o")
        for _ in range(2):
            client.close()
            assert client.get_assistant(made.id) == made


def test_whoever_closes_a_transport_waits_until_its_streams_have_ended_and_no_longer() -> None:
    may_end = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.to_thread(may_end.wait, 10)

    with _loop_in_thread() as loop:
        transport = ThreadedASGITransport(app, loop)
        stream = transport.stream(Request("GET", "http://embedded/v1", {}, None, 10))
        closing = [threading.Thread(target=close) for close in (transport.close, transport.close, stream.close)]
        for each in closing:
            each.start()
        ending = threading.Thread(target=transport.end)
        ending.start()
        may_end.set()
        for each in (*closing, ending):
            each.join(10)
            assert not each.is_alive()
    with pytest.raises(TransportFailure):
        transport.send(Request("GET", "http://embedded/v1", {}, None, 10))
    transport.close()


@pytest.mark.parametrize("times", range(20))
def test_a_service_may_end_at_any_moment_of_what_is_heard(times: int) -> None:
    mailbox: queue.Queue[Any] = queue.Queue()
    with holdover.embedded() as client:
        assistant = client.create_assistant("scripted")
        thread = {"messages": [{"role": "user", "content": "!say One two three four five six seven"}]}
        client.create_thread_and_run(assistant.id, thread=thread, stream_to=mailbox, background=True)
        for _ in range(times):
            if not isinstance(mailbox.get(timeout=10), Data):
                return
    while isinstance(told := mailbox.get(timeout=10), Data):
        pass
    assert isinstance(told, Finish | Failure)


def test_an_error_in_the_block_passes_and_closes_the_service(face: Face, tmp_path: Path) -> None:
    file = tmp_path / "assistants.db"

    class Own(Exception):
        pass

    with pytest.raises(Own), face.embedded(file):
        raise Own
    with face.embedded(file):
        pass


def test_one_embedded_can_be_entered_again(tmp_path: Path) -> None:
    service = holdover.embedded(tmp_path / "assistants.db")
    for _ in range(2):
        with service as client:
            client.create_assistant("gpt-4o")
    with service as client:
        assert len(client.list_assistants().data) == 2


def test_after_the_block_a_call_says_that_the_service_is_closed(face: Face) -> None:
    with face.embedded() as client:
        pass
    with pytest.raises(holdover.HoldoverError):
        client.list_assistants()


async def test_sync_and_async_are_told_apart() -> None:
    service = holdover.embedded()
    with service as client:
        assert type(client) is holdover.Client
    async with service as async_client:
        assert type(async_client) is holdover.AsyncClient


async def test_many_calls_at_once_are_all_answered() -> None:
    async with holdover.embedded() as client:
        made = await asyncio.gather(*(client.create_assistant("gpt-4o", name=str(n)) for n in range(60)))
        assert len({each.id for each in made}) == 60
        assert {each.id async for each in await client.list_assistants(limit=7)} == {each.id for each in made}


async def test_a_sync_service_can_be_used_while_a_loop_runs() -> None:
    with holdover.embedded() as client:
        assert client.create_assistant("gpt-4o").model == "gpt-4o"


async def test_a_cancelled_call_leaves_the_service_usable() -> None:
    async with holdover.embedded() as client:
        call = asyncio.create_task(client.create_assistant("gpt-4o"))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await client.create_assistant("gpt-4o")).model == "gpt-4o"


def test_the_in_process_service_answers_with_the_headers_of_any_other(face: Face) -> None:
    with face.embedded(project="proj-1") as client:
        headers = client.request("GET", "/models").headers
    assert headers["content-type"] == "application/json"
    assert headers["openai-version"] == "2020-10-01"
    assert headers["x-request-id"].startswith("req_")
    assert headers["openai-project"] == "proj-1"
    assert headers["openai-processing-ms"].isdigit()
