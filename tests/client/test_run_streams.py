"""A run's events, by iterating and through receivers, on both faces of the client."""

from __future__ import annotations

import asyncio
import json
import queue
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import pytest

import holdover
from holdover import Data, Failure, Finish, RunEvent
from holdover.client.transports import TransportFailure
from holdover.wire.events import DONE, PING

from .faces import Face
from .scripted import LATE, LOST, AsyncScripted, Scripted, Streamed, answer, refusal
from .told import (
    ANSWERING,
    ANSWERING_NAMES,
    BEGINNING,
    END,
    MESSAGE,
    TEXT,
    calls_told,
    run,
    run_told,
    stream,
    told,
)

RECORDED = Path(__file__).parents[3] / "shared" / "contract" / "recorded"

#: What begins a stream, and what it is asked for with.
BEGINNINGS: dict[str, tuple[Callable[..., Any], str, dict[str, Any]]] = {
    "create_run": (
        lambda client, **options: client.create_run("thread_1", "asst_1", **options),
        "POST /v1/threads/thread_1/runs",
        {"assistant_id": "asst_1", "stream": True},
    ),
    "create_thread_and_run": (
        lambda client, **options: client.create_thread_and_run("asst_1", **options),
        "POST /v1/threads/runs",
        {"assistant_id": "asst_1", "stream": True},
    ),
    "submit_tool_outputs_to_run": (
        lambda client, **options: client.submit_tool_outputs_to_run(
            "thread_1", "run_1", [{"tool_call_id": "call_1", "output": "5"}], **options
        ),
        "POST /v1/threads/thread_1/runs/run_1/submit_tool_outputs",
        {"tool_outputs": [{"tool_call_id": "call_1", "output": "5"}], "stream": True},
    ),
}


def begin(client: Any, **options: Any) -> Any:
    return client.create_run("thread_1", "asst_1", stream=True, **options)


def names(events: Any) -> list[str]:
    return [event.name for event in events]


# ------------------------------------------------------------------------------------------------- iterating


@pytest.mark.parametrize("name", BEGINNINGS)
def test_with_stream_the_events_are_asked_for_and_returned_as_they_come(face: Face, name: str) -> None:
    ask, path, body = BEGINNINGS[name]
    script = Scripted(stream(ANSWERING))
    events = list(ask(face.client(script), stream=True))
    assert names(events) == ANSWERING_NAMES
    assert isinstance(events[5], RunEvent)
    assert (events[5].data.id, events[5].data.text) == ("msg_1", "Hello")
    assert events[-1].data.status == "completed"
    assert (script.sent, msgspec.json.decode(script.last.body or b"")) == ([path], body)
    assert script.last.headers["accept"] == "text/event-stream"
    assert script.last.headers["idempotency-key"]


@pytest.mark.parametrize("stream_option", [{}, {"stream": False}, {"stream": None}, {"stream_to": None}])
@pytest.mark.parametrize("name", BEGINNINGS)
def test_without_stream_the_run_is_returned(face: Face, name: str, stream_option: dict[str, Any]) -> None:
    ask, path, body = BEGINNINGS[name]
    script = Scripted(answer(run("queued")))
    assert ask(face.client(script), **stream_option).status == "queued"
    assert script.sent == [path]
    assert msgspec.json.decode(script.last.body or b"") == {key: each for key, each in body.items() if key != "stream"}


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_the_events_are_the_same_wherever_the_network_cuts_them(face: Face, size: int) -> None:
    data = b"".join([PING, *ANSWERING[:5], PING, *ANSWERING[5:]])
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert names(begin(face.client(Scripted(Streamed(pieces))))) == ANSWERING_NAMES


def test_an_event_is_there_before_the_next_one_was_told(face: Face) -> None:
    script = Scripted(stream(ANSWERING))
    events = begin(face.client(script))
    assert next(events).name == "thread.run.created"
    assert len(script.incoming[0].timeouts) == 1


def test_texts_alone_come_piece_by_piece(face: Face) -> None:
    assert list(begin(face.client(Scripted(stream(ANSWERING)))).text_deltas) == ["Hello", " there", "."]


def test_the_whole_text_is_there_at_the_end(face: Face) -> None:
    assert begin(face.client(Scripted(stream(ANSWERING)))).text() == "Hello there."


def test_reading_to_the_end_gives_the_run(face: Face) -> None:
    script = Scripted(stream(ANSWERING))
    events = begin(face.client(script))
    assert events.until_done().status == "completed"
    assert events.until_done().status == "completed"
    assert list(events) == []
    assert script.incoming[0].is_closed


def test_snapshots_are_as_far_as_events_were_taken(face: Face) -> None:
    events = begin(face.client(Scripted(stream(ANSWERING))))
    assert (events.run, events.thread, events.messages, events.steps) == (None, None, [], [])
    seen = []
    for event in events:
        seen.append("".join(message.text for message in events.messages))
        if event.name == "thread.run.in_progress":
            assert events.run.status == "in_progress"
    assert seen == ["", "", "", "", "", "Hello", "Hello there", "Hello there.", *["Hello there."] * 3]
    assert [(each.id, each.status) for each in events.steps] == [("step_1", "completed")]
    assert events.messages[0].status == "completed"
    assert events.run.status == "completed"


def test_a_thread_that_is_created_with_the_run_is_told_of(face: Face) -> None:
    thread = told("thread.created", {"id": "thread_1", "created_at": 1})
    events = face.client(Scripted(stream(thread, ANSWERING))).create_thread_and_run("asst_1", stream=True)
    assert next(events).name == "thread.created"
    assert events.thread.id == "thread_1"


def test_a_run_that_waits_for_outputs_ends_the_stream(face: Face) -> None:
    events = begin(face.client(Scripted(calls_told(("call_1", "f", "{}")))))
    waiting = events.until_done()
    assert waiting.status == "requires_action"
    assert waiting.required_action.submit_tool_outputs.tool_calls[0].id == "call_1"


def test_events_that_are_newer_than_the_client_are_left_out(face: Face) -> None:
    news = told("thread.run.dreamt", {"id": "dream_1"})
    assert names(begin(face.client(Scripted(stream(news, ANSWERING[:4], news, ANSWERING[4:]))))) == ANSWERING_NAMES


@pytest.mark.parametrize(
    "end",
    [
        b"data: [DONE]\n\n",
        b"",
        b"event: done\ndata: [DONE]",
        b"event: done\r\ndata: [DONE]\r\n\r\n",
        told("thread.run.dreamt", {}),
    ],
)
def test_a_stream_may_end_in_the_way_of_other_services(face: Face, end: bytes) -> None:
    assert names(begin(face.client(Scripted(stream(ANSWERING[:-1], end))))) == ANSWERING_NAMES


def test_what_a_service_says_behind_the_end_is_not_waited_for_long(face: Face) -> None:
    script = Scripted(stream(ANSWERING, LATE))
    assert begin(face.client(script)).until_done().status == "completed"
    assert script.incoming[0].timeouts[-1] == 0.5
    assert set(script.incoming[0].timeouts[:-1]) == {None}


@pytest.mark.parametrize(
    "recording", ["openllmetry_streaming_existing_assistant", "ruby_v2_runs_streamed_incomplete_and_invalid_thread"]
)
def test_recorded_streams_are_read(face: Face, recording: str) -> None:
    path = RECORDED / f"{recording}.json"
    if not path.exists():
        pytest.skip("the recordings are not beside this checkout: ../shared/contract/recorded")
    exchanges = json.loads(path.read_text(encoding="utf-8"))["exchanges"]
    for sse in [each["response"]["sse"].encode() for each in exchanges if "sse" in each["response"]]:
        events = begin(face.client(Scripted(Streamed([sse[at : at + 11] for at in range(0, len(sse), 11)]))))
        text = "".join(events.text_deltas)
        assert text == "".join(each.text for each in events.messages)
        assert events.run.is_terminal
        assert len(text) > 10


# ------------------------------------------------------------------------------------------------- leaving


def test_leaving_a_with_block_closes_the_stream(face: Face) -> None:
    script = Scripted(stream(ANSWERING))
    with begin(face.client(script)) as events:
        for event in events:
            if event.name == "thread.message.delta":
                break
    assert script.incoming[0].is_closed
    assert list(events) == []
    assert events.run.status == "in_progress"


def test_a_stream_is_closed_once_and_for_all(face: Face) -> None:
    script = Scripted(stream(ANSWERING))
    events = begin(face.client(script))
    events.close()
    events.close()
    assert script.incoming[0].is_closed
    assert list(events) == []
    with pytest.raises(holdover.APIConnectionError, match="before it told of a run"):
        events.until_done()


def test_closing_while_iterating_ends_the_iteration(face: Face) -> None:
    events = begin(face.client(Scripted(stream(ANSWERING))))
    taken = 0
    for _ in events:
        taken += 1
        events.close()
    assert taken == 1


# ------------------------------------------------------------------------------------------------- trouble


def test_a_refusal_is_raised_by_the_call_itself(face: Face) -> None:
    with pytest.raises(holdover.BadRequestError, match=r"Said 400\.") as caught:
        begin(face.client(Scripted(refusal(400))))
    assert caught.value.code == "a_code"


def test_trouble_before_the_first_event_is_met_by_asking_again(face: Face) -> None:
    script = Scripted(refusal(500, holdover_idempotency="86400"), refusal(429), stream(ANSWERING))
    client = face.client(script)
    assert names(begin(client)) == ANSWERING_NAMES
    assert len({each.headers["idempotency-key"] for each in script.requests}) == 1
    assert len(client.pauses) == 2


def test_trouble_behind_the_first_event_is_not_met_by_asking_again(face: Face) -> None:
    script = Scripted(stream(BEGINNING, LOST))
    events = begin(face.client(script))
    with pytest.raises(holdover.APIConnectionError) as caught:
        list(events)
    assert str(caught.value) == (
        "The stream of http://127.0.0.1:8026/v1 broke off: connection closed before message completed. The run goes "
        "on: get_run('thread_1', 'run_1') says how it is."
    )
    assert isinstance(caught.value.__cause__, TransportFailure)
    assert len(script.requests) == 1
    assert script.incoming[0].is_closed


def test_what_came_before_a_stream_broke_off_was_received(face: Face) -> None:
    events = begin(face.client(Scripted(stream(BEGINNING, TEXT[:4], LOST))))
    seen: list[RunEvent] = []
    with pytest.raises(holdover.APIConnectionError):
        seen.extend(events)
    assert names(seen) == ANSWERING_NAMES[:7]
    assert [each.text for each in events.messages] == ["Hello there"]


def test_silence_is_told_of_as_late(face: Face) -> None:
    events = begin(face.client(Scripted(stream(BEGINNING, LATE))), timeout_s=3)
    with pytest.raises(
        holdover.APITimeoutError, match=r"^Nothing came of the stream of http://127\S+ for 3 s\. The run"
    ):
        list(events)


def test_a_stream_that_ends_before_the_run_does_broke_off(face: Face) -> None:
    for frames in ([], BEGINNING, [*BEGINNING, *TEXT]):
        with pytest.raises(holdover.APIConnectionError, match="it ended before the run did"):
            list(begin(face.client(Scripted(stream(frames)))))


def test_what_is_no_stream_is_not_of_the_wire(face: Face) -> None:
    with pytest.raises(holdover.APIResponseValidationError, match="is not a stream"):
        begin(face.client(Scripted(answer(run("queued")))))


@pytest.mark.parametrize(
    "frame",
    [
        b"event: thread.run.queued\ndata: {\n\n",
        b"event: thread.run.queued\ndata: []\n\n",
        b"event: thread.message.delta\ndata: \xff\n\n",
        told("thread.run.queued", run("dreaming")),
        told("error", 5),
    ],
)
def test_an_event_that_cannot_be_read_is_not_of_the_wire(face: Face, frame: bytes) -> None:
    events = begin(face.client(Scripted(stream(BEGINNING, frame))))
    with pytest.raises(holdover.APIResponseValidationError, match="is not of the Assistants API"):
        list(events)


def test_a_delta_that_cannot_be_joined_is_not_of_the_wire(face: Face) -> None:
    frames = [
        told("thread.message.created", MESSAGE),
        told("thread.message.delta", {"id": "msg_1", "delta": {"content": [{"index": 0, "type": "image_file"}]}}),
    ]
    events = begin(face.client(Scripted(stream(frames, END))))
    assert events.until_done().status == "completed"
    with pytest.raises(holdover.APIResponseValidationError):
        events.messages  # noqa: B018


@pytest.mark.parametrize("wrap", [lambda error: error, lambda error: {"error": error}], ids=["bare", "wrapped"])
def test_an_error_event_is_raised(face: Face, wrap: Callable[[Any], Any]) -> None:
    error = {"message": "Out of luck.", "type": "server_error", "code": "luck", "param": None}
    events = begin(face.client(Scripted(stream(BEGINNING, told("error", wrap(error)), DONE))))
    with pytest.raises(holdover.APIError, match=r"^Out of luck\.$") as caught:
        list(events)
    assert (caught.value.type, caught.value.code, caught.value.body) == ("server_error", "luck", error)


def test_a_failed_run_is_told_of_and_not_raised(face: Face) -> None:
    failed = run("failed", last_error={"code": "server_error", "message": "Sorry."})
    last = begin(face.client(Scripted(stream(BEGINNING, run_told(failed), DONE)))).until_done()
    assert (last.status, last.last_error.message) == ("failed", "Sorry.")


def test_the_hosted_service_is_not_asked(face: Face) -> None:
    with pytest.raises(holdover.HostedAPIEndedError):
        begin(face.client(Scripted()), base_url="https://api.openai.com/v1")


# ------------------------------------------------------------------------------------------------- receivers


@pytest.mark.parametrize("name", BEGINNINGS)
def test_a_receiver_gets_every_event_and_the_call_returns_the_run(face: Face, name: str) -> None:
    ask, _, body = BEGINNINGS[name]
    script = Scripted(stream(ANSWERING))
    received: list[Any] = []
    last = ask(face.client(script), stream_to=received.append)
    assert last.status == "completed"
    assert received.pop() == Finish()
    assert names(each.value for each in received) == ANSWERING_NAMES
    assert msgspec.json.decode(script.last.body or b"") == body


def test_a_receiver_gets_what_iterating_gives(face: Face) -> None:
    received: list[Any] = []
    face.client(Scripted(stream(ANSWERING))).create_run("thread_1", "asst_1", stream_to=received.append)
    assert received == [*map(Data, begin(face.client(Scripted(stream(ANSWERING))))), Finish()]


@pytest.mark.parametrize("kind", [queue.Queue, queue.SimpleQueue, asyncio.Queue])
def test_a_queue_receives_events(face: Face, kind: Any) -> None:
    mailbox = kind()
    face.client(Scripted(stream(ANSWERING))).create_run("thread_1", "asst_1", stream_to=mailbox)
    received = [mailbox.get_nowait() for _ in range(mailbox.qsize())]
    assert names(each.value for each in received[:-1]) == ANSWERING_NAMES
    assert received[-1] == Finish()


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize(
    ("outcome", "error"),
    [(refusal(400), holdover.BadRequestError), (stream(LOST), holdover.APIConnectionError)],
    ids=["refused", "broken off"],
)
def test_trouble_before_the_run_is_known_is_received_and_raised(
    face: Face, outcome: Any, error: type[Exception], background: bool
) -> None:
    received: list[Any] = []
    client = face.client(Scripted(outcome))
    with pytest.raises(error) as caught:
        client.create_run("thread_1", "asst_1", stream_to=received.append, background=background)
    assert received == [Failure(caught.value)]


def test_trouble_on_the_way_comes_behind_what_was_received(face: Face) -> None:
    received: list[Any] = []
    client = face.client(Scripted(stream(BEGINNING, LOST)))
    with pytest.raises(holdover.APIConnectionError) as caught:
        client.create_run("thread_1", "asst_1", stream_to=received.append)
    assert names(each.value for each in received[:-1]) == ANSWERING_NAMES[:3]
    assert received[-1] == Failure(caught.value)


def test_what_a_receiver_of_events_raises_ends_the_call_and_closes_the_stream(face: Face) -> None:
    class Enough(Exception):
        pass

    received: list[Any] = []

    def receive(event: Any) -> None:
        received.append(event)
        if isinstance(event, Data) and event.value.name == "thread.message.delta":
            raise Enough

    script = Scripted(stream(ANSWERING))
    with pytest.raises(Enough):
        face.client(script).create_run("thread_1", "asst_1", stream_to=receive)
    assert isinstance(received[-1], Failure)
    assert script.incoming[0].is_closed


SLIPS: list[tuple[dict[str, Any], str]] = [
    ({"stream": True, "stream_to": print}, "give one of them"),
    ({"background": True}, r"give stream_to="),
    ({"stream": True, "background": True}, r"give stream_to="),
    ({"functions": [print]}, r"give stream=True or stream_to=…, or run_and_wait\(\)"),
    ({"stream_to": 5}, "stream_to is a function or a queue"),
    ({"stream": True, "functions": [5]}, "has no name"),
    ({"stream": True, "functions": {"f": 5}}, "'f' is not a function but int"),
]


@pytest.mark.parametrize(("options", "said"), SLIPS, ids=[" ".join(options) for options, _ in SLIPS])
def test_wishes_that_contradict_each_other_are_refused_before_sending(
    face: Face, options: dict[str, Any], said: str
) -> None:
    script = Scripted()
    with pytest.raises(TypeError, match=said):
        face.client(script).create_run("thread_1", "asst_1", **options)
    assert script.requests == []


@pytest.mark.parametrize(
    ("slip", "meant"), [("strem", "stream"), ("backgroud", "background"), ("function", "functions")]
)
def test_an_option_of_events_that_does_not_exist_is_an_error_that_names_the_nearest(
    face: Face, slip: str, meant: str
) -> None:
    for options in ({}, {"stream": True}):
        with pytest.raises(holdover.UnknownOptionError, match=f"create_run.*did you mean '{meant}'"):
            face.client(Scripted()).create_run("thread_1", "asst_1", **options, **{slip: True})


# --------------------------------------------------------------------------------------------- in background


def taken(face: Face, mailbox: Any) -> list[Any]:
    """Return what a mailbox gets up to the last."""
    received: list[Any] = []
    while not received or isinstance(received[-1], Data):
        received.append(
            face.wait_for(asyncio.wait_for(mailbox.get(), 10)) if face.is_async else mailbox.get(timeout=10)
        )
    return received


@pytest.mark.parametrize("places", [0, 1])
def test_in_background_the_call_returns_when_the_run_is_known(face: Face, places: int) -> None:
    mailbox: Any = asyncio.Queue(places) if face.is_async else queue.Queue(places)
    client = face.client(Scripted(stream(ANSWERING)))
    begun = client.create_run("thread_1", "asst_1", stream_to=mailbox, background=True)
    assert (begun.id, begun.status) == ("run_1", "queued")
    *received, last = taken(face, mailbox)
    assert names(each.value for each in received) == ANSWERING_NAMES
    assert last == Finish()


def test_trouble_in_the_background_is_received(face: Face) -> None:
    mailbox: Any = asyncio.Queue() if face.is_async else queue.Queue()
    face.client(Scripted(stream(BEGINNING, LOST))).create_run("thread_1", "asst_1", stream_to=mailbox, background=True)
    *received, last = taken(face, mailbox)
    assert names(each.value for each in received) == ANSWERING_NAMES[:3]
    assert isinstance(last.error, holdover.APIConnectionError)


async def test_cancelling_an_async_iteration_closes_the_stream() -> None:
    class Silent:
        status = 200
        headers = MappingProxyType({"content-type": "text/event-stream"})
        is_closed = False

        async def read(self, timeout_s: float | None = None) -> bytes:
            await asyncio.Event().wait()
            return b""

        async def close(self) -> None:
            self.is_closed = True

    class Transport(AsyncScripted):
        async def stream(self, request: Any) -> Any:
            return silent

    silent = Silent()
    client = holdover.AsyncClient(transport=Transport(Scripted()))
    events = await client.create_run("thread_1", "asst_1", stream=True)
    reading = asyncio.create_task(events.until_done())
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert silent.is_closed


def test_a_stream_says_what_it_is_of(face: Face) -> None:
    events = begin(face.client(Scripted(stream(ANSWERING))))
    list(events)
    assert repr(events).endswith("RunStream(Run(id='run_1', status='completed', model='m'))")
