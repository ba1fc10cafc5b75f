"""Waiting for a run by asking how it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

import holdover

from .faces import Face
from .scripted import LOST, Scripted, answer, refusal
from .told import calling, run

ENDED = ["cancelled", "failed", "completed", "incomplete", "expired"]


def wait(client: Any, **options: Any) -> Any:
    return client.wait_for_run("thread_1", "run_1", **options)


def run_and_wait(client: Any, **options: Any) -> Any:
    return client.run_and_wait("thread_1", "asst_1", **options)


def statuses(*statuses: str, **headers: str) -> Scripted:
    return Scripted(*(answer(run(status), **headers) for status in statuses))


GET = "GET /v1/threads/thread_1/runs/run_1"
CREATE = "POST /v1/threads/thread_1/runs"
each_way = pytest.mark.parametrize("ask", [wait, run_and_wait])


@each_way
@pytest.mark.parametrize("status", ENDED)
def test_a_run_is_waited_for_until_it_has_ended(face: Face, ask: Callable[..., Any], status: str) -> None:
    script = statuses("queued", "in_progress", "cancelling", status)
    assert ask(face.client(script)).status == status
    assert script.sent == [CREATE if ask is run_and_wait else GET, GET, GET, GET]


def test_a_run_that_has_ended_is_not_asked_after_again(face: Face) -> None:
    script = statuses("completed")
    client = face.client(script)
    assert wait(client).status == "completed"
    assert (script.sent, client.pauses) == ([GET], [])


@each_way
def test_a_run_that_waits_for_outputs_is_returned(face: Face, ask: Callable[..., Any]) -> None:
    script = Scripted(answer(run("queued")), answer(calling(("call_1", "f", "{}"))))
    assert ask(face.client(script)).status == "requires_action"
    assert len(script.sent) == 2


@each_way
def test_pauses_grow_up_to_a_second(face: Face, ask: Callable[..., Any]) -> None:
    client = face.client(statuses(*["queued"] * 10, "completed"))
    ask(client)
    assert client.pauses == pytest.approx([0.1, 0.15, 0.225, 0.3375, 0.50625, 0.759375, 1, 1, 1, 1])


@each_way
def test_a_service_may_say_how_long_pauses_are(face: Face, ask: Callable[..., Any]) -> None:
    client = face.client(statuses(*["queued"] * 4, "completed", openai_poll_after_ms="2500"))
    ask(client)
    assert client.pauses[1:] == [2.5] * 3


def test_what_a_service_says_otherwise_is_no_pause(face: Face) -> None:
    client = face.client(statuses("queued", "queued", "completed", openai_poll_after_ms="soon"))
    wait(client)
    assert client.pauses == pytest.approx([0.1, 0.15])


@each_way
def test_the_caller_says_it_better(face: Face, ask: Callable[..., Any]) -> None:
    client = face.client(statuses(*["queued"] * 3, "completed", openai_poll_after_ms="2500"))
    ask(client, poll_interval_s=0.25)
    assert client.pauses == [0.25] * 3


@each_way
@pytest.mark.parametrize("interval_s", [0, -1, float("nan"), float("inf"), "x", []])
def test_an_interval_is_above_zero(face: Face, ask: Callable[..., Any], interval_s: float) -> None:
    script = Scripted()
    with pytest.raises(holdover.BadRequestError, match="poll_interval_s") as caught:
        ask(face.client(script), poll_interval_s=interval_s)
    assert (caught.value.param, script.requests) == ("poll_interval_s", [])


def test_the_options_of_a_run_are_sent_and_those_of_waiting_are_not(face: Face) -> None:
    script = statuses("queued", "completed")
    run_and_wait(face.client(script), instructions="Be brief.", temperature=0.5, poll_interval_s=1, functions=None)
    body = {"assistant_id": "asst_1", "instructions": "Be brief.", "temperature": 0.5}
    assert msgspec.json.decode(script.requests[0].body or b"") == body


@each_way
def test_every_call_goes_where_the_first_one_goes(face: Face, ask: Callable[..., Any]) -> None:
    script = statuses("queued", "queued", "completed")
    ask(face.client(script), base_url="http://other.example/v1", openai_api_key="sk-call", timeout_s=7)
    for request in script.requests:
        assert request.url.startswith("http://other.example/v1/threads/thread_1/runs")
        assert (request.headers["authorization"], request.timeout_s) == ("Bearer sk-call", 7)


@each_way
def test_trouble_on_the_way_is_met_by_asking_again(face: Face, ask: Callable[..., Any]) -> None:
    script = Scripted(answer(run("queued")), LOST, refusal(503), answer(run("completed")))
    assert ask(face.client(script)).status == "completed"


@each_way
def test_trouble_that_lasts_is_raised(face: Face, ask: Callable[..., Any]) -> None:
    with pytest.raises(holdover.NotFoundError):
        ask(face.client(Scripted(answer(run("queued")), refusal(404))))


@each_way
def test_an_option_that_does_not_exist_is_an_error(face: Face, ask: Callable[..., Any]) -> None:
    for options in ({"poll_interval": 1}, {"stream_to": print}, {"background": True}, {"nonsense": 1}):
        with pytest.raises(TypeError):
            ask(face.client(Scripted()), **options)
