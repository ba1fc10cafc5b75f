"""Streams as services tell them: frames of a run that answers, of one that calls, and the objects in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from holdover.client.transports import TransportFailure
from holdover.wire.events import DONE, frame

from .scripted import Streamed, answer

RUN: dict[str, Any] = {
    "id": "run_1",
    "object": "thread.run",
    "created_at": 1,
    "assistant_id": "asst_1",
    "thread_id": "thread_1",
    "status": "queued",
    "model": "m",
    "tools": [],
}
STEP: dict[str, Any] = {
    "id": "step_1",
    "object": "thread.run.step",
    "created_at": 1,
    "run_id": "run_1",
    "assistant_id": "asst_1",
    "thread_id": "thread_1",
    "type": "message_creation",
    "status": "in_progress",
    "step_details": {"type": "message_creation", "message_creation": {"message_id": "msg_1"}},
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "object": "thread.message",
    "created_at": 1,
    "thread_id": "thread_1",
    "run_id": "run_1",
    "assistant_id": "asst_1",
    "status": "in_progress",
    "role": "assistant",
    "content": [],
}


def run(status: str, **members: Any) -> dict[str, Any]:
    return {**RUN, "status": status, **members}


def calling(*calls: tuple[str, str, str]) -> dict[str, Any]:
    """Return the run while it waits for the outputs of calls: id, name and arguments of each."""
    asked = [
        {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for id, name, arguments in calls
    ]
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": asked}}
    return run("requires_action", required_action=action)


def told(name: str, data: Any) -> bytes:
    """Return the frame of an event."""
    return frame(name, msgspec.json.encode(data))


def run_told(data: dict[str, Any]) -> bytes:
    return told(f"thread.run.{data['status']}", data)


def text_told(*pieces: str) -> list[bytes]:
    """Return the frames of a message that comes in pieces."""
    part: dict[str, Any] = {"index": 0, "type": "text"}
    whole = {
        **MESSAGE,
        "status": "completed",
        "content": [{"type": "text", "text": {"value": "".join(pieces), "annotations": []}}],
    }
    return [
        told("thread.run.step.created", STEP),
        told("thread.message.created", MESSAGE),
        *(
            told("thread.message.delta", {"id": "msg_1", "delta": {"content": [{**part, "text": {"value": each}}]}})
            for each in pieces
        ),
        told("thread.message.completed", whole),
        told("thread.run.step.completed", {**STEP, "status": "completed"}),
    ]


#: A run that says "Hello there.", from its beginning to its end.
BEGINNING = [told("thread.run.created", run("queued")), run_told(run("queued")), run_told(run("in_progress"))]
TEXT = text_told("Hello", " there", ".")
END = [run_told(run("completed")), DONE]
ANSWERING = [*BEGINNING, *TEXT, *END]
ANSWERING_NAMES = [
    "thread.run.created",
    "thread.run.queued",
    "thread.run.in_progress",
    "thread.run.step.created",
    "thread.message.created",
    "thread.message.delta",
    "thread.message.delta",
    "thread.message.delta",
    "thread.message.completed",
    "thread.run.step.completed",
    "thread.run.completed",
]


def stream(*frames: bytes | TransportFailure | Iterable[Any]) -> Streamed:
    """Return an answer of frames, each of which comes by itself."""
    pieces: list[Any] = []
    for each in frames:
        pieces += [each] if isinstance(each, bytes | TransportFailure) else each
    return Streamed(pieces)


def calls_told(*calls: tuple[str, str, str]) -> Streamed:
    """Return the stream of a run up to where it waits for outputs."""
    return stream(BEGINNING, run_told(calling(*calls)), DONE)


def goes_on(*pieces: str) -> Streamed:
    """Return the stream of a run that goes on with its outputs to its end."""
    return stream([run_told(run("queued")), run_told(run("in_progress"))], text_told(*pieces), END)


def run_answer(status: str, **headers: str) -> Any:
    return answer(run(status), **headers)
