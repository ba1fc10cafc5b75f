"""One answer of a model, as it comes: chunks become frames, and objects that grow. Pure.

A text becomes a message and the step that writes it; calls become one step of tool calls. Where a model says something
before it calls, the message is finished first: messages and steps never interleave on the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec

from holdover.models.protocol import CallChunk, Chunk, FinishChunk, RefusalChunk, TextChunk, UsageChunk
from holdover.wire.events import MESSAGE_EVENTS, STEP_EVENTS, frame, text_delta_frames
from holdover.wire.messages import Message, Part, RefusalPart, TextContent, TextPart
from holdover.wire.runs import CalledFunction, RequiredToolCall, Run
from holdover.wire.steps import CreatedMessage, FunctionCall, FunctionCallDetails, MessageCreation, RunStep, ToolCalls

encode = msgspec.json.Encoder().encode


class Frames(msgspec.Struct, frozen=True):
    """Frames that are only sent, and how many events they hold."""

    data: bytes
    count: int


class MessageBegins(msgspec.Struct, frozen=True):
    """A step and the message that it writes are to be stored."""

    step: RunStep
    message: Message


class CallsBegin(msgspec.Struct, frozen=True):
    """A step of tool calls is to be stored; what was under way before it is complete."""

    step: RunStep


Outcome = Frames | MessageBegins | CallsBegin


class Answer:
    """What a model says in one call.

    Args:
        run: Whose answer it is.
        new_id: Returns a new id of a kind.
        now: Returns the time in Unix seconds.
    """

    def __init__(self, run: Run, new_id: Callable[[str], str], now: Callable[[], int]) -> None:
        self._run = run
        self._new_id = new_id
        self._now = now
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._calls: dict[int, _Call] = {}
        self._text_frames = (b"", b"")
        self.message: Message | None = None
        self.step: RunStep | None = None
        self.reason: Literal["stop", "length", "tool_calls", "content_filter"] | None = None
        self.usage: UsageChunk | None = None

    def take(self, chunks: Sequence[Chunk]) -> Iterator[Outcome]:
        """Take what came in one read, and give what is to be done with it, in order."""
        frames: list[bytes] = []
        count = 0
        for chunk in chunks:
            match chunk:
                case TextChunk(text=text):
                    if not text or self._calls:  # what is said behind a call has no place of its own on the wire
                        continue
                    if self._texts:
                        before, behind = self._text_frames
                        frames += (before, encode(text), behind)
                        count += 1
                        self._texts.append(text)
                        continue
                    if self.message is None:
                        if frames:
                            yield Frames(b"".join(frames), count)
                            frames, count = [], 0
                        yield self._begin_message()
                    frames.append(self._first_text(text))
                    count += 1
                case RefusalChunk(text=text):
                    if not text or self._calls:
                        continue
                    if self.message is None:
                        yield self._begin_message()
                    frames.append(self._refusal(text))
                    count += 1
                case CallChunk():
                    if not self._calls:
                        if frames:
                            yield Frames(b"".join(frames), count)
                            frames, count = [], 0
                        yield self._begin_calls()
                    made = self._call(chunk)
                    frames += made
                    count += len(made)
                case FinishChunk(reason=reason):
                    self.reason = reason
                case UsageChunk():
                    self.usage = chunk
        if frames:
            yield Frames(b"".join(frames), count)

    def end(self) -> Iterator[Outcome]:
        """Give what is still to be done when nothing more comes: an empty answer is a message, too."""
        if self.message is None and not self._calls:
            yield self._begin_message()
        missing = [self._arguments(call, "{}") for call in self._calls.values() if not call.arguments]
        if missing:
            yield Frames(b"".join(missing), len(missing))

    @property
    def has_calls(self) -> bool:
        """Whether the model called anything."""
        return bool(self._calls)

    @property
    def text(self) -> str:
        """What was said so far."""
        return "".join(self._texts)

    def grown_message(self) -> Message | None:
        """Return the message with all that was said so far."""
        if self.message is None:
            return None
        content: list[Part] = []
        if self._texts:
            content.append(TextPart(text=TextContent(value="".join(self._texts), annotations=[])))
        if self._refusals:
            content.append(RefusalPart(refusal="".join(self._refusals)))
        return msgspec.structs.replace(self.message, content=content)

    def grown_calls(self) -> RunStep:
        """Return the step with the calls as they are."""
        assert self.step is not None
        calls = [
            FunctionCall(id=call.id, function=FunctionCallDetails(name=call.name, arguments="".join(call.arguments)))
            for call in self._calls.values()
        ]
        return msgspec.structs.replace(self.step, step_details=ToolCalls(tool_calls=list(calls)))

    def required_calls(self) -> list[RequiredToolCall]:
        """Return the calls as the application is told of them."""
        return [
            RequiredToolCall(id=call.id, function=CalledFunction(name=call.name, arguments="".join(call.arguments)))
            for call in self._calls.values()
        ]

    # Text

    def _begin_message(self) -> MessageBegins:
        now = self._now()
        message_id = self._new_id("message")
        self.message = Message(
            id=message_id,
            created_at=now,
            assistant_id=self._run.assistant_id,
            thread_id=self._run.thread_id,
            run_id=self._run.id,
            status="in_progress",
            role="assistant",
            content=[],
            attachments=[],
            metadata={},
        )
        self.step = self._new_step(MessageCreation(message_creation=CreatedMessage(message_id=message_id)), now)
        return MessageBegins(self.step, self.message)

    def _first_text(self, text: str) -> bytes:
        assert self.message is not None
        index = 1 if self._refusals else 0
        self._text_frames = text_delta_frames(self.message.id, index)
        self._texts.append(text)
        # The first piece brings the list of annotations; it is the only one that does.
        before, behind = self._text_frames
        return before + encode(text) + b',"annotations":[]' + behind

    def _refusal(self, text: str) -> bytes:
        assert self.message is not None
        index = 1 if self._texts else 0
        self._refusals.append(text)
        part = {"index": index, "type": "refusal", "refusal": text}
        return frame(
            "thread.message.delta",
            encode({"id": self.message.id, "object": "thread.message.delta", "delta": {"content": [part]}}),
        )

    # Calls

    def _begin_calls(self) -> CallsBegin:
        self.step = self._new_step(ToolCalls(tool_calls=[]), self._now())
        return CallsBegin(self.step)

    def _call(self, chunk: CallChunk) -> list[bytes]:
        call = self._calls.get(chunk.index)
        frames = []
        if call is None:
            call = self._calls[chunk.index] = _Call(len(self._calls), self._new_id("call"), chunk.name or "")
            frames.append(self._delta(call, {"name": call.name, "arguments": "", "output": None}, with_id=True))
        if chunk.arguments:
            frames.append(self._arguments(call, chunk.arguments))
        return frames

    def _arguments(self, call: _Call, arguments: str) -> bytes:
        call.arguments.append(arguments)
        return self._delta(call, {"arguments": arguments})

    def _delta(self, call: _Call, function: dict[str, object], *, with_id: bool = False) -> bytes:
        assert self.step is not None
        shown = {"index": call.index, "id": call.id} if with_id else {"index": call.index}
        details = {"type": "tool_calls", "tool_calls": [{**shown, "type": "function", "function": function}]}
        return frame(
            "thread.run.step.delta",
            encode({"id": self.step.id, "object": "thread.run.step.delta", "delta": {"step_details": details}}),
        )

    def _new_step(self, details: MessageCreation | ToolCalls, now: int) -> RunStep:
        return RunStep(
            id=self._new_id("step"),
            created_at=now,
            run_id=self._run.id,
            assistant_id=self._run.assistant_id,
            thread_id=self._run.thread_id,
            type=details.type,
            status="in_progress",
            expires_at=self._run.expires_at,
            step_details=details,
            metadata={},
        )


class _Call:
    """A call that grows."""

    __slots__ = ("arguments", "id", "index", "name")

    def __init__(self, index: int, id: str, name: str) -> None:
        self.index = index
        self.id = id
        self.name = name
        self.arguments: list[str] = []


# ------------------------------------------------------------------------------------- frames of objects


def step_began(step: RunStep) -> bytes:
    """Return the two frames that tell of a new step."""
    data = encode(step)
    return frame("thread.run.step.created", data) + frame("thread.run.step.in_progress", data)


def message_began(message: Message) -> bytes:
    """Return the two frames that tell of a new message."""
    data = encode(message)
    return frame("thread.message.created", data) + frame("thread.message.in_progress", data)


def step_frame(step: RunStep, run: Run) -> bytes:
    """Return the frame of a step's status; a stream shows when the run would expire even when the step is over."""
    return frame(STEP_EVENTS[step.status], encode(msgspec.structs.replace(step, expires_at=run.expires_at)))


def message_frame(message: Message) -> bytes:
    """Return the frame of a message's status."""
    return frame(MESSAGE_EVENTS[message.status or "completed"], encode(message))
