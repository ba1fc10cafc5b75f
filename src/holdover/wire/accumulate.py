"""How deltas become the object that they are of: the one place that knows. Pure.

Pieces of a text are joined; members are joined each by itself; entries of a list are told apart by ``index``; of
anything else the newest stands. What has not come yet is empty.

Deltas are kept as they come and joined when the object is asked for, so that a delta that nobody asks about costs
next to nothing, however long the text is.

Source: what the official SDKs do with ``thread.message.delta`` and ``thread.run.step.delta``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from .events import MessageDelta, RunStepDelta, StreamError
from .messages import Message, Part
from .runs import Run
from .steps import RunStep, StepDetails
from .threads import Thread

EventData = Thread | Run | RunStep | RunStepDelta | Message | MessageDelta | StreamError

#: Members that come in pieces. Others are whole, and if they are said twice, they say the same.
_GROWING = frozenset(("value", "refusal", "arguments", "output", "input", "logs"))
#: What an entry has before anything of it came, by its type.
_EMPTY: dict[str, dict[str, Any]] = {
    "text": {"text": {"value": "", "annotations": []}},
    "refusal": {"refusal": ""},
    "function": {"id": "", "function": {"name": "", "arguments": ""}},
    "code_interpreter": {"id": "", "code_interpreter": {"input": "", "outputs": []}},
    "file_search": {"id": "", "file_search": {}},
    "logs": {"logs": ""},
    "file_citation": {"text": "", "start_index": 0, "end_index": 0},
    "file_path": {"text": "", "start_index": 0, "end_index": 0},
}


def grown_message(message: Message, deltas: Sequence[MessageDelta]) -> Message:
    """Return a message with what its deltas brought."""
    changes = [delta.delta.content for delta in deltas if delta.delta.content]
    if not changes:
        return message
    content = _merged_entries(msgspec.to_builtins([message.content, *changes]))
    return msgspec.structs.replace(message, content=msgspec.convert(content, list[Part]))


def grown_step(step: RunStep, deltas: Sequence[RunStepDelta]) -> RunStep:
    """Return a step with what its deltas brought."""
    changes = [delta.delta.step_details for delta in deltas if delta.delta.step_details]
    if not changes:
        return step
    details = _merged_members(msgspec.to_builtins([step.step_details, *changes]))
    return msgspec.structs.replace(step, step_details=msgspec.convert(details, StepDetails))


def _merged(name: str, values: list[Any]) -> Any:
    """Return what values that came one after the other, for the same member, come to."""
    values = [value for value in values if value is not None]
    kinds = {type(value) for value in values}
    if kinds == {dict}:
        return _merged_members(values)
    if kinds == {list} and all(isinstance(entry, dict) for value in values for entry in value):
        return _merged_entries(values)
    if kinds == {str} and name in _GROWING:
        return "".join(values)
    return values[-1] if values else None


def _merged_members(values: list[dict[str, Any]]) -> dict[str, Any]:
    by_name: defaultdict[str, list[Any]] = defaultdict(list)
    for value in values:
        for name, each in value.items():
            by_name[name].append(each)
    return {name: _merged(name, all) for name, all in by_name.items()}


def _merged_entries(values: list[list[dict[str, Any]]]) -> list[Any]:
    by_index: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for value in values:
        for position, entry in enumerate(value):
            pieces = by_index[entry.get("index", position)]
            if not pieces:
                pieces.append(_EMPTY.get(entry.get("type", ""), {}))
            pieces.append({name: each for name, each in entry.items() if name != "index"})
    return [_merged_members(by_index[index]) for index in sorted(by_index)]


class Snapshots:
    """The objects of a stream as its events have made them so far."""

    __slots__ = ("_deltas", "_messages", "_steps", "run", "thread")

    def __init__(self) -> None:
        #: The run and the thread as last told; ``None`` before.
        self.run: Run | None = None
        self.thread: Thread | None = None
        self._messages: dict[str, Message] = {}
        self._steps: dict[str, RunStep] = {}
        self._deltas: defaultdict[str, list[Any]] = defaultdict(list)

    def take(self, data: EventData) -> None:
        """Take what an event brought."""
        kind = type(data)
        if kind is MessageDelta or kind is RunStepDelta:
            self._deltas[data.id].append(data)  # type: ignore[union-attr]
            return
        match data:
            case Message():
                self._messages[data.id] = data
                self._deltas.pop(data.id, None)
            case RunStep():
                self._steps[data.id] = data
                self._deltas.pop(data.id, None)
            case Run():
                self.run = data
            case Thread():
                self.thread = data
            case MessageDelta() | RunStepDelta() | StreamError():
                pass

    @property
    def messages(self) -> list[Message]:
        """The messages, oldest first. Of one whose beginning was not seen there is no snapshot."""
        for id in self._messages.keys() & self._deltas.keys():
            self._messages[id] = grown_message(self._messages[id], self._deltas.pop(id))
        return list(self._messages.values())

    @property
    def steps(self) -> list[RunStep]:
        """The steps, oldest first. Of one whose beginning was not seen there is no snapshot."""
        for id in self._steps.keys() & self._deltas.keys():
            self._steps[id] = grown_step(self._steps[id], self._deltas.pop(id))
        return list(self._steps.values())
