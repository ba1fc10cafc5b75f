"""What a stream says: the names of events, what comes with them, and how both are framed.

Source: AssistantStreamEvent of the published reference; framing, order and deltas are those of the recorded exchanges.
A frame is ``event: <name>\\ndata: <JSON on one line>\\n\\n``: line feeds only, one space after each colon, for there
are clients that split the bytes by exactly that. No data may have a member ``error`` at its top.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from .messages import FilePath, ImageFile, ImageURL, Message
from .record import UNSET, Record, UnsetType
from .runs import Run, RunStatus
from .steps import CodeImageFile, FileSearchCallDetails, RunStep, StepStatus
from .threads import Thread

DONE = b"event: done\ndata: [DONE]\n\n"
#: Keeps what lies between from taking a silent stream for a dead one; a comment, which clients skip.
PING = b": ping\n\n"
CONTENT_TYPE = "text/event-stream; charset=utf-8"

RUN_EVENTS: dict[RunStatus, str] = {
    "queued": "thread.run.queued",
    "in_progress": "thread.run.in_progress",
    "requires_action": "thread.run.requires_action",
    "cancelling": "thread.run.cancelling",
    "cancelled": "thread.run.cancelled",
    "failed": "thread.run.failed",
    "completed": "thread.run.completed",
    "incomplete": "thread.run.incomplete",
    "expired": "thread.run.expired",
}
STEP_EVENTS: dict[StepStatus, str] = {
    "in_progress": "thread.run.step.in_progress",
    "cancelled": "thread.run.step.cancelled",
    "failed": "thread.run.step.failed",
    "completed": "thread.run.step.completed",
    "expired": "thread.run.step.expired",
}
MESSAGE_EVENTS: dict[str, str] = {
    "in_progress": "thread.message.in_progress",
    "incomplete": "thread.message.incomplete",
    "completed": "thread.message.completed",
}


class CitedFileDelta(Record, frozen=True, kw_only=True):
    """The file of a citation, as a delta has it."""

    file_id: str | UnsetType = UNSET
    quote: str | UnsetType = UNSET


class FileCitationDelta(Record, frozen=True, kw_only=True, tag_field="type", tag="file_citation"):
    """A citation that joins a text."""

    type: ClassVar[Literal["file_citation"]] = "file_citation"
    index: int
    text: str | UnsetType = UNSET
    start_index: int | UnsetType = UNSET
    end_index: int | UnsetType = UNSET
    file_citation: CitedFileDelta | UnsetType = UNSET


class FilePathDelta(Record, frozen=True, kw_only=True, tag_field="type", tag="file_path"):
    """A path that joins a text."""

    type: ClassVar[Literal["file_path"]] = "file_path"
    index: int
    text: str | UnsetType = UNSET
    start_index: int | UnsetType = UNSET
    end_index: int | UnsetType = UNSET
    file_path: FilePath | UnsetType = UNSET


class TextDelta(Record, frozen=True, kw_only=True):
    """More of a text."""

    value: str | UnsetType = UNSET
    annotations: list[FileCitationDelta | FilePathDelta] | UnsetType = UNSET


class TextPartDelta(Record, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """More of a text part."""

    type: ClassVar[Literal["text"]] = "text"
    index: int
    text: TextDelta | UnsetType = UNSET


class RefusalPartDelta(Record, frozen=True, kw_only=True, tag_field="type", tag="refusal"):
    """More of a refusal."""

    type: ClassVar[Literal["refusal"]] = "refusal"
    index: int
    refusal: str | UnsetType = UNSET


class ImageFilePartDelta(Record, frozen=True, kw_only=True, tag_field="type", tag="image_file"):
    """An image that joins a message."""

    type: ClassVar[Literal["image_file"]] = "image_file"
    index: int
    image_file: ImageFile | UnsetType = UNSET


class ImageURLPartDelta(Record, frozen=True, kw_only=True, tag_field="type", tag="image_url"):
    """An image by its address that joins a message."""

    type: ClassVar[Literal["image_url"]] = "image_url"
    index: int
    image_url: ImageURL | UnsetType = UNSET


PartDelta = TextPartDelta | RefusalPartDelta | ImageFilePartDelta | ImageURLPartDelta


class MessageChange(Record, frozen=True, kw_only=True):
    """What is new in a message."""

    role: Literal["user", "assistant"] | UnsetType = UNSET
    content: list[PartDelta] | UnsetType = UNSET


class MessageDelta(Record, frozen=True, kw_only=True):
    """More of a message."""

    _shown = ("id", "text")

    id: str
    object: Literal["thread.message.delta"] = "thread.message.delta"
    delta: MessageChange

    @property
    def text(self) -> str:
        """The new text."""
        text = ""
        for part in self.delta.content or ():
            if isinstance(part, TextPartDelta) and part.text:
                text += part.text.value or ""
        return text


class FunctionDelta(Record, frozen=True, kw_only=True):
    """More of a function's call."""

    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET
    output: str | None | UnsetType = UNSET


class FunctionCallDelta(Record, frozen=True, kw_only=True, tag_field="type", tag="function"):
    """More of a call of a function."""

    type: ClassVar[Literal["function"]] = "function"
    index: int
    id: str | UnsetType = UNSET
    function: FunctionDelta | UnsetType = UNSET


class CodeLogsDelta(Record, frozen=True, kw_only=True, tag_field="type", tag="logs"):
    """More of what the code printed."""

    type: ClassVar[Literal["logs"]] = "logs"
    index: int
    logs: str | UnsetType = UNSET


class CodeImageDelta(Record, frozen=True, kw_only=True, tag_field="type", tag="image"):
    """An image that the code drew."""

    type: ClassVar[Literal["image"]] = "image"
    index: int
    image: CodeImageFile | UnsetType = UNSET


class CodeInterpreterDelta(Record, frozen=True, kw_only=True):
    """More of a piece of code, or of what came of it."""

    input: str | UnsetType = UNSET
    outputs: list[CodeLogsDelta | CodeImageDelta] | UnsetType = UNSET


class CodeInterpreterCallDelta(Record, frozen=True, kw_only=True, tag_field="type", tag="code_interpreter"):
    """More of a call of the code interpreter."""

    type: ClassVar[Literal["code_interpreter"]] = "code_interpreter"
    index: int
    id: str | UnsetType = UNSET
    code_interpreter: CodeInterpreterDelta | UnsetType = UNSET


class FileSearchCallDelta(Record, frozen=True, kw_only=True, tag_field="type", tag="file_search"):
    """A search, whole."""

    type: ClassVar[Literal["file_search"]] = "file_search"
    index: int
    id: str | UnsetType = UNSET
    file_search: FileSearchCallDetails | UnsetType = UNSET


ToolCallDelta = FunctionCallDelta | CodeInterpreterCallDelta | FileSearchCallDelta


class ToolCallsDelta(Record, frozen=True, kw_only=True, tag_field="type", tag="tool_calls"):
    """More of a step's calls."""

    type: ClassVar[Literal["tool_calls"]] = "tool_calls"
    tool_calls: list[ToolCallDelta] | UnsetType = UNSET


class MessageCreationDelta(Record, frozen=True, kw_only=True, tag_field="type", tag="message_creation"):
    """The message of a step."""

    type: ClassVar[Literal["message_creation"]] = "message_creation"
    message_creation: dict[str, str] | UnsetType = UNSET


class StepChange(Record, frozen=True, kw_only=True):
    """What is new in a step."""

    step_details: ToolCallsDelta | MessageCreationDelta | UnsetType = UNSET


class RunStepDelta(Record, frozen=True, kw_only=True):
    """More of a step."""

    _shown = ("id",)

    id: str
    object: Literal["thread.run.step.delta"] = "thread.run.step.delta"
    delta: StepChange


class StreamError(Record, frozen=True, kw_only=True):
    """The error event: other services send it, Holdover tells of failures with ``thread.run.failed``."""

    message: str | None = None
    type: str | None = None
    code: str | None = None
    param: str | None = None


#: The record that comes with an event, by the event's name; ``done`` has none.
RECORDS: dict[str, Any] = {
    "thread.created": Thread,
    "thread.run.created": Run,
    **dict.fromkeys(RUN_EVENTS.values(), Run),
    "thread.run.step.created": RunStep,
    **dict.fromkeys(STEP_EVENTS.values(), RunStep),
    "thread.run.step.delta": RunStepDelta,
    "thread.message.created": Message,
    **dict.fromkeys(MESSAGE_EVENTS.values(), Message),
    "thread.message.delta": MessageDelta,
    "error": StreamError,
}
#: After one of these a stream says ``done``.
LAST_RUN_EVENTS = frozenset(
    RUN_EVENTS[status] for status in ("requires_action", "cancelled", "failed", "completed", "incomplete", "expired")
)

_encode = msgspec.json.Encoder().encode


def frame(name: str, data: bytes) -> bytes:
    """Return the frame of an event whose data is encoded already."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def text_delta_frames(message_id: str, index: int = 0) -> tuple[bytes, bytes]:
    """Return what stands before and behind the JSON string of a further piece of text: the rest is always the same."""
    before = b'event: thread.message.delta\ndata: {"id":"%b","object":"thread.message.delta","delta":{"content":[{'
    before += b'"index":%d,"type":"text","text":{"value":'
    return before % (message_id.encode(), index), b"}}]}}\n\n"
