"""The events of a stream: their names, their frames, and those that were recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given

from holdover.wire.accumulate import Snapshots
from holdover.wire.events import (
    DONE,
    LAST_RUN_EVENTS,
    RECORDS,
    RUN_EVENTS,
    STEP_EVENTS,
    MessageDelta,
    frame,
    text_delta_frames,
)
from holdover.wire.messages import Message
from holdover.wire.runs import RUN_STATUSES, Run
from holdover.wire.sse import Parser
from holdover.wire.steps import RunStep, StepStatus

from .strategies import quick, text

RECORDED = Path(__file__).parents[3] / "shared" / "contract" / "recorded"


def recorded_streams() -> list[Any]:
    """Return the bytes of each recorded stream, or one place that says why there are none."""
    found = [
        pytest.param(exchange["response"]["sse"].encode(), id=f"{path.stem}-{number}")
        for path in sorted(RECORDED.glob("*.json"))
        for number, exchange in enumerate(json.loads(path.read_text(encoding="utf-8"))["exchanges"])
        if "sse" in exchange["response"]
    ]
    absent = pytest.mark.skip(reason="the recordings are not beside this checkout: ../shared/contract/recorded")
    return found or [pytest.param(b"", id="absent", marks=absent)]


each_recorded_stream = pytest.mark.parametrize("stream", recorded_streams())


def events(stream: bytes) -> list[tuple[str, Any]]:
    """Return the events of a stream, up to ``done``."""
    *found, last = Parser().feed(stream)
    assert (last.name, last.data) == ("done", b"[DONE]")
    return [(each.name, msgspec.json.decode(each.data, type=RECORDS[each.name])) for each in found]


def test_every_status_has_its_event() -> None:
    assert set(RUN_EVENTS) == set(RUN_STATUSES)
    assert set(STEP_EVENTS) == set(get_args(StepStatus))
    assert len(RECORDS) + len(["done"]) == 25


def test_the_frame_of_a_text_is_that_of_the_record() -> None:
    before, behind = text_delta_frames("msg_1", 2)
    (event,) = Parser().feed(before + b'"Hello"' + behind)
    assert event.name == "thread.message.delta"
    delta = msgspec.json.decode(event.data, type=MessageDelta)
    (same,) = Parser().feed(frame(event.name, msgspec.json.encode(delta)))
    assert json.loads(same.data) == json.loads(event.data)
    assert (delta.id, delta.text) == ("msg_1", "Hello")


@quick
@given(text=text)
def test_a_text_of_any_characters_is_framed(text: str) -> None:
    before, behind = text_delta_frames("msg_1")
    (event,) = Parser().feed(before + msgspec.json.encode(text) + behind)
    assert msgspec.json.decode(event.data, type=MessageDelta).text == text


@each_recorded_stream
def test_a_recorded_stream_is_framed_as_we_frame_it(stream: bytes) -> None:
    framed = [b"event: %b\ndata: %b\n\n" % (each.name.encode(), each.data) for each in Parser().feed(stream)]
    assert b"".join(framed) == stream
    assert framed[-1] == DONE


@each_recorded_stream
def test_nothing_of_a_recorded_event_is_lost(stream: bytes) -> None:
    for each in Parser().feed(stream)[:-1]:
        record = msgspec.json.decode(each.data, type=RECORDS[each.name])
        assert list(lost(json.loads(each.data), json.loads(msgspec.json.encode(record)))) == []


def lost(said: Any, kept: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of what was said and not kept; our records may have more."""
    if isinstance(said, dict) and isinstance(kept, dict):
        for name, each in said.items():
            yield from lost(each, kept.get(name), f"{path}.{name}")
    elif isinstance(said, list) and isinstance(kept, list) and len(said) == len(kept):
        for number, (one, other) in enumerate(zip(said, kept, strict=True)):
            yield from lost(one, other, f"{path}[{number}]")
    elif said != kept:
        yield path


@each_recorded_stream
def test_deltas_of_a_recorded_stream_come_to_what_its_objects_say(stream: bytes) -> None:
    snapshots = Snapshots()
    compared = 0
    for _, data in events(stream):
        grown = {each.id: each for each in [*snapshots.messages, *snapshots.steps]}
        match data:
            case Message(status="completed" | "incomplete"):
                assert grown[data.id].content == data.content  # type: ignore[union-attr]
                compared += 1
            case RunStep(status="completed") if data.id in grown:  # not one that an earlier stream told of
                assert grown[data.id].step_details == data.step_details  # type: ignore[union-attr]
                compared += 1
            case _:
                pass
        snapshots.take(data)
    assert compared or snapshots.run is None or snapshots.run.status == "requires_action"


@each_recorded_stream
def test_a_recorded_stream_ends_with_one_of_the_last_events_of_a_run(stream: bytes) -> None:
    name, data = events(stream)[-1]
    assert isinstance(data, Run)
    assert name in LAST_RUN_EVENTS
