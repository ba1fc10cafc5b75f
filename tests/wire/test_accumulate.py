"""Deltas become the object that they were cut from."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdover.wire.accumulate import Snapshots, grown_message, grown_step
from holdover.wire.events import MessageDelta, RunStepDelta
from holdover.wire.messages import Message
from holdover.wire.runs import Run
from holdover.wire.steps import RunStep, ToolCalls
from holdover.wire.threads import Thread

from .strategies import plain, quick

DELTA_ID = {"id": "x"}


def pieces(draw: st.DrawFn, text: str) -> list[str]:
    """Cut a text anywhere."""
    edges = [0, *sorted(draw(st.lists(st.integers(0, len(text)), max_size=3))), len(text)]
    return [text[begin:end] for begin, end in itertools.pairwise(edges)]


def changes(draw: st.DrawFn, entry: dict[str, Any], index: int) -> list[dict[str, Any]]:
    """Return what an entry of a list is told by: all that cannot be cut first, then the pieces of its texts."""
    kind = entry["type"]
    first: dict[str, Any] = {**entry, "index": index}
    rest: list[dict[str, Any]] = []
    match kind:
        case "text":
            annotations = entry["text"]["annotations"]
            value, *more = pieces(draw, entry["text"]["value"])
            first["text"] = {"value": value, **({"annotations": []} if draw(st.booleans()) else {})}
            rest += [{"text": {"value": each}} for each in more]
            rest += [{"text": {"annotations": [{**each, "index": at}]}} for at, each in enumerate(annotations)]
        case "refusal":
            first["refusal"], *more = pieces(draw, entry["refusal"])
            rest += [{"refusal": each} for each in more]
        case "function":
            arguments, *more = pieces(draw, entry["function"]["arguments"])
            first["function"] = {"name": entry["function"]["name"], "arguments": arguments, "output": None}
            rest += [{"function": {"arguments": each}} for each in more]
            if entry["function"].get("output") is not None:
                rest += [{"function": {"output": each}} for each in pieces(draw, entry["function"]["output"])]
        case "code_interpreter":
            code, *more = pieces(draw, entry["code_interpreter"]["input"])
            first["code_interpreter"] = {"input": code, **({"outputs": []} if draw(st.booleans()) else {})}
            rest += [{"code_interpreter": {"input": each}} for each in more]
            rest += [
                {"code_interpreter": {"outputs": [each]}}
                for at, output in enumerate(entry["code_interpreter"]["outputs"])
                for each in changes(draw, output, at)
            ]
        case "logs":
            first["logs"], *more = pieces(draw, entry["logs"])
            rest += [{"logs": each} for each in more]
    return [first, *({"index": index, "type": kind, **each} for each in rest)]


def in_any_order(draw: st.DrawFn, entries: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """Let entries interleave, one or several in a delta; they begin in their order, and their pieces keep theirs."""
    begun: list[list[dict[str, Any]]] = []
    waiting = [list(each) for each in entries]
    told: list[list[dict[str, Any]]] = []
    while waiting or any(begun):
        if waiting and (draw(st.booleans()) or not any(begun)):
            begun.append(waiting.pop(0))
            chosen = begun[-1]
        else:
            chosen = draw(st.sampled_from([each for each in begun if each]))
        last = told[-1] if told else []
        entry = chosen.pop(0)
        if last and last[-1]["index"] != entry["index"] and draw(st.booleans()):
            last.append(entry)
        else:
            told.append([entry])
    return told


@st.composite
def messages(draw: st.DrawFn) -> tuple[Message, list[MessageDelta]]:
    """Return a message and the deltas that it may have been told by."""
    message = msgspec.convert(draw(plain(Message)), Message)
    entries = [changes(draw, each, at) for at, each in enumerate(msgspec.to_builtins(message.content))]
    told = [{**DELTA_ID, "delta": {"content": each}} for each in in_any_order(draw, entries)]
    return message, msgspec.convert(told, list[MessageDelta])


@st.composite
def steps(draw: st.DrawFn) -> tuple[RunStep, list[RunStepDelta]]:
    """Return a step of calls and the deltas that it may have been told by."""
    step = msgspec.convert(draw(plain(RunStep)), RunStep)
    details = msgspec.convert(draw(plain(ToolCalls)), ToolCalls)
    entries = [changes(draw, each, at) for at, each in enumerate(msgspec.to_builtins(details.tool_calls))]
    told = [
        {**DELTA_ID, "delta": {"step_details": {"type": "tool_calls", "tool_calls": each}}}
        for each in in_any_order(draw, entries)
    ]
    return msgspec.structs.replace(step, step_details=details), msgspec.convert(told, list[RunStepDelta])


@quick
@given(told=messages())
def test_a_messages_deltas_come_to_the_message(told: tuple[Message, list[MessageDelta]]) -> None:
    message, deltas = told
    assert grown_message(msgspec.structs.replace(message, content=[]), deltas) == message


@quick
@given(told=steps())
def test_a_steps_deltas_come_to_the_step(told: tuple[RunStep, list[RunStepDelta]]) -> None:
    step, deltas = told
    assert grown_step(msgspec.structs.replace(step, step_details=ToolCalls(tool_calls=[])), deltas) == step


@quick
@given(told=messages(), asked=st.sets(st.integers(0, 20)))
def test_asking_on_the_way_changes_nothing(told: tuple[Message, list[MessageDelta]], asked: set[int]) -> None:
    message, deltas = told
    snapshots = Snapshots()
    snapshots.take(msgspec.structs.replace(message, id="x", content=[]))
    for number, delta in enumerate(deltas):
        snapshots.take(delta)
        if number in asked:
            assert len(snapshots.messages) == 1
    assert [each.content for each in snapshots.messages] == [message.content]


MESSAGE = Message(id="x", created_at=1, thread_id="thread_1", role="assistant", content=[])
STEP = RunStep(
    id="x",
    created_at=1,
    run_id="run_1",
    assistant_id="asst_1",
    thread_id="thread_1",
    type="tool_calls",
    status="in_progress",
    step_details=ToolCalls(tool_calls=[]),
)


def content(*entries: dict[str, Any]) -> MessageDelta:
    return msgspec.convert({**DELTA_ID, "delta": {"content": list(entries)}}, MessageDelta)


def calls(*entries: dict[str, Any]) -> RunStepDelta:
    details = {"type": "tool_calls", "tool_calls": list(entries)}
    return msgspec.convert({**DELTA_ID, "delta": {"step_details": details}}, RunStepDelta)


def test_what_names_a_thing_is_not_joined_when_it_is_said_again() -> None:
    call = {"index": 0, "type": "function", "id": "call_1"}
    grown = grown_step(
        STEP, [calls({**call, "function": {"name": "f"}}), calls({**call, "function": {"arguments": "{"}})]
    )
    assert msgspec.to_builtins(grown.step_details) == {
        "type": "tool_calls",
        "tool_calls": [
            {"type": "function", "id": "call_1", "function": {"name": "f", "arguments": "{", "output": None}},
        ],
    }


def test_what_has_not_come_yet_is_empty() -> None:
    """A snapshot can be asked for behind any delta, however little it says."""
    assert grown_message(MESSAGE, [content({"index": 0, "type": "text"})]).text == ""
    assert grown_message(MESSAGE, [content()]) == MESSAGE
    for kind in ("function", "code_interpreter", "file_search"):
        (call,) = grown_step(STEP, [calls({"index": 0, "type": kind})]).to_dict()["step_details"]["tool_calls"]
        assert (call["type"], call["id"]) == (kind, "")


@pytest.mark.parametrize("citation", [{"file_id": "file-1", "quote": ""}, {"file_id": "file-1"}])
def test_an_annotation_joins_its_text(citation: dict[str, str]) -> None:
    marker = {"type": "file_citation", "text": "【4:0†a】", "start_index": 1, "end_index": 8}
    first = {"index": 0, "type": "text", "text": {"value": "A", "annotations": []}}
    second = {
        **first,
        "text": {"value": "【4:0†a】", "annotations": [{"index": 0, **marker, "file_citation": citation}]},
    }
    third = {**first, "text": {"value": "."}}
    grown = grown_message(MESSAGE, [content(first), content(second), content(third)])
    assert grown.to_dict()["content"] == [
        {"type": "text", "text": {"value": "A【4:0†a】.", "annotations": [{**marker, "file_citation": citation}]}}
    ]


def test_a_whole_object_replaces_what_deltas_came_to() -> None:
    snapshots = Snapshots()
    text = {"index": 0, "type": "text", "text": {"value": "Hel"}}
    for data in (MESSAGE, content(text)):
        snapshots.take(data)
    assert [each.text for each in snapshots.messages] == ["Hel"]
    whole = grown_message(MESSAGE, [content({**text, "text": {"value": "Hello."}})])
    snapshots.take(content(text))
    snapshots.take(whole)
    assert snapshots.messages == [whole]


def test_of_an_object_whose_beginning_was_not_seen_there_is_no_snapshot() -> None:
    snapshots = Snapshots()
    snapshots.take(content({"index": 0, "type": "text", "text": {"value": "lo."}}))
    assert (snapshots.messages, snapshots.steps, snapshots.run, snapshots.thread) == ([], [], None, None)


def test_the_run_and_the_thread_are_those_told_of_last() -> None:
    snapshots = Snapshots()
    thread = Thread(id="thread_1", created_at=1)
    runs = [
        Run(id="run_1", created_at=1, assistant_id="asst_1", thread_id="thread_1", status=status, model="m", tools=[])
        for status in ("queued", "completed")
    ]
    for data in (thread, *runs, STEP):
        snapshots.take(data)
    assert (snapshots.thread, snapshots.run, snapshots.steps) == (thread, runs[1], [STEP])


def test_ten_thousand_deltas_are_joined_at_once() -> None:
    """Joined one by one, they would be copied ten thousand times."""
    snapshots = Snapshots()
    snapshots.take(MESSAGE)
    for _ in range(10_000):
        snapshots.take(content({"index": 0, "type": "text", "text": {"value": "word "}}))
    assert snapshots.messages[0].text == "word " * 10_000
