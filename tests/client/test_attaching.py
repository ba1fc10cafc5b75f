"""Attaching to a run's events with the client, on both its faces, and as any HTTP client does it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from tests.conftest import Service
from tests.server.talk import ask

import holdover
from holdover import Data, Finish

from .faces import Face
from .scripted import Scripted
from .told import BEGINNING, END, stream

WEATHER = {"type": "function", "function": {"name": "get_weather"}}


def begun(client: Any, text: str, **options: Any) -> tuple[str, str]:
    """Begin a run and return the ids of its thread and its own."""
    assistant = client.create_assistant("scripted", tools=[WEATHER])
    thread = {"messages": [{"role": "user", "content": text}]}
    made = client.create_thread_and_run(assistant.id, thread=thread, **options)
    return made.thread_id, made.id


def within(seconds: float, call: Callable[[], Any]) -> Any:
    """Return what a call returns; fail where it does not return in time, instead of hanging with it."""
    returned: Future[Any] = Future()
    threading.Thread(target=lambda: returned.set_result(call()), daemon=True).start()
    return returned.result(seconds)


def test_a_run_is_heard_from_its_beginning_and_from_wherever_one_left_off(client: Any) -> None:
    ids = begun(client, "!say One two three")
    names = []
    with client.stream_run(*ids) as heard:
        for event in heard:
            names.append(event.name)
            assert heard.last_event_id == len(names)
        assert heard.text() == "One two three"
    assert (names[0], names[-1]) == ("thread.created", "thread.run.completed")
    for last in range(len(names)):
        rest = client.stream_run(*ids, last_event_id=last)
        assert [each.name for each in rest] == names[last:]


def test_where_nothing_is_new_the_run_is_as_it_is(client: Any) -> None:
    ids = begun(client, "!say Yes")
    first = client.stream_run(*ids)
    first.until_done()
    again = client.stream_run(*ids, last_event_id=first.last_event_id)
    assert list(again) == []
    assert again.until_done().status == "completed"


def test_functions_answer_a_run_that_was_attached_to_also_when_it_waits_already(client: Any) -> None:
    ids = begun(client, '!call get_weather {"city": "Rome"}')
    waits = client.stream_run(*ids)
    assert waits.until_done().status == "requires_action"
    functions = {"get_weather": lambda city: f"18 in {city}"}
    late = client.stream_run(*ids, last_event_id=waits.last_event_id, functions=functions)
    assert late.until_done().status == "completed"
    assert late.text() == "The answer is: 18 in Rome"


def test_a_receiver_gets_the_events_and_the_call_returns_the_run(client: Any) -> None:
    ids = begun(client, "!say Yes")
    got: queue.Queue[Any] = queue.Queue()
    assert client.stream_run(*ids, stream_to=got).status == "completed"
    events = [got.get_nowait() for _ in range(got.qsize())]
    assert isinstance(events[0], Data)
    assert events[-1] == Finish()


def test_in_the_background_the_run_is_there_also_where_nothing_is_new(client: Any) -> None:
    ids = begun(client, "!say Yes")
    first = client.stream_run(*ids)
    first.until_done()
    got: queue.Queue[Any] = queue.Queue()
    attached = within(
        5,
        lambda: client.stream_run(*ids, last_event_id=first.last_event_id, stream_to=got, background=True),
    )
    assert attached.status == "completed"


def test_in_the_background_the_run_is_there_before_its_next_event(shared_url: str) -> None:
    with holdover.Client(base_url=shared_url) as client:
        ids = begun(client, "!hang")
        with client.stream_run(*ids) as heard:
            newest = next(heard.last_event_id for event in heard if event.name == "thread.run.in_progress")
        got: queue.Queue[Any] = queue.Queue()
        try:
            attached = within(5, lambda: client.stream_run(*ids, last_event_id=newest, stream_to=got, background=True))
        finally:
            client.cancel_run(*ids)
        assert attached.status == "in_progress"
        assert isinstance(got.get(timeout=10), Data)


def test_who_lost_a_stream_attaches_again_without_losing_anything(client: Any) -> None:
    assistant = client.create_assistant("scripted")
    thread = client.create_thread(messages=[{"role": "user", "content": "!say One two three four"}])
    lost = client.create_run(thread.id, assistant.id, stream=True)
    names = [next(lost).name for _ in range(5)]
    begun_run, newest = lost.run, lost.last_event_id
    lost.close()
    assert newest == 5
    found = client.stream_run(thread.id, begun_run.id, last_event_id=newest)
    names += [each.name for each in found]
    assert names.count("thread.message.delta") == 4
    assert len(names) == found.last_event_id


@pytest.mark.parametrize(
    ("given", "param"),
    [(-1, "last_event_id"), ("5", "last_event_id"), (1.5, "last_event_id"), (2**60, "last_event_id")],
)
def test_an_id_that_is_no_number_is_refused_before_anything_is_sent(face: Face, given: Any, param: str) -> None:
    script = Scripted()
    with pytest.raises(holdover.BadRequestError) as caught:
        face.client(script).stream_run("thread_1", "run_1", last_event_id=given)
    assert caught.value.param == param
    assert script.requests == []


def test_a_service_without_numbers_can_be_attached_to(face: Face) -> None:
    script = Scripted(stream(*BEGINNING, *END))
    heard = face.client(script).stream_run("thread_1", "run_1", last_event_id=3)
    assert [each.name for each in heard][-1] == "thread.run.completed"
    assert heard.last_event_id is None
    (request,) = script.requests
    assert (request.method, request.url.partition("/v1")[2], request.body) == (
        "GET",
        "/threads/thread_1/runs/run_1/stream?last_event_id=3",
        None,
    )
    assert request.headers["accept"] == "text/event-stream"


# ---------------------------------------------------------------------------------------------------- raw HTTP


@pytest.fixture
def ids(shared_url: str) -> tuple[str, str]:
    with holdover.Client(base_url=shared_url) as client:
        made = begun(client, "!say Yes")
        client.stream_run(*made).until_done()
        return made


def test_a_browser_that_connects_again_counts_on_in_the_header(shared_service: Service, ids: tuple[str, str]) -> None:
    path = "/v1/threads/{}/runs/{}/stream".format(*ids)
    with holdover.Client(base_url=shared_service.base_url) as client:
        newest = client.stream_run(*ids).last_event_id
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", shared_service.port, timeout=20)
    try:
        for query, header, first in (("", "3", 4), ("?last_event_id=3", None, 4), ("?last_event_id=1", "3", 4)):
            connection.request("GET", path + query, headers={} if header is None else {"Last-Event-ID": header})
            answer = connection.getresponse()
            body = answer.read()
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert answer.headers["holdover-event-id"] == "3"
            assert body.startswith(b"id: %d\nevent: thread." % first)
            assert body.endswith(b"event: done\ndata: [DONE]\n\n")
        connection.request("HEAD", path)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
    finally:
        connection.close()
    assert newest == 0, "nothing was read of it"


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "9" * 30, "1 2"])
def test_an_id_that_is_no_number_is_refused(shared_service: Service, ids: tuple[str, str], given: str) -> None:
    said = ask(shared_service, "GET", "/v1/threads/{}/runs/{}/stream".format(*ids), headers={"Last-Event-ID": given})
    assert (said.status, said.error["param"], said.error["code"]) == (400, "Last-Event-ID", "invalid_value")


def test_a_run_of_another_thread_is_not_there(shared_service: Service, ids: tuple[str, str]) -> None:
    other = ask(shared_service, "POST", "/v1/threads", {}).json()["id"]
    said = ask(shared_service, "GET", f"/v1/threads/{other}/runs/{ids[1]}/stream")
    assert (said.status, said.error["message"]) == (404, f"No run found with id '{ids[1]}'.")
