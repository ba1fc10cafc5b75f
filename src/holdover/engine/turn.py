"""One answer of a model, as it comes: chunks become frames, and objects that grow. Pure.

A text becomes a message and the step that writes it; calls become one step of tool calls. Where a model says something
before it calls, the message is finished first: messages and steps never interleave on the wire. What text refers to
(citations, paths of files) is found by whoever is given for it (`References`), piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Protocol

import msgspec

from holdover.models.protocol import CallChunk, Chunk, FinishChunk, RefusalChunk, TextChunk, UsageChunk
from holdover.wire.events import MESSAGE_EVENTS, RUN_EVENTS, STEP_EVENTS, frame, text_delta_frames
from holdover.wire.messages import (
    Annotation,
    FileCitationAnnotation,
    ImageFile,
    ImageFilePart,
    Message,
    Part,
    RefusalPart,
    TextContent,
    TextPart,
)
from holdover.wire.runs import CalledFunction, RequiredToolCall, Run
from holdover.wire.steps import CodeOutput, CreatedMessage, FileSearchCallDetails, MessageCreation, RunStep, ToolCalls
from holdover.wire.tools import CodeInterpreterResources, ToolResources

from .calls import BUILT_IN, CodeCall, GrowingCall, SearchCall, built_in

encode = msgspec.json.Encoder().encode


class Frames(msgspec.Struct, frozen=True, gc=False):
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


class References(Protocol):
    """Finds what a text refers to while it comes: pieces go in, pieces come out, each with its annotation or none.

    A piece that may be the beginning of a reference is held back until that is known.
    """

    def feed(self, text: str) -> Sequence[tuple[str, Annotation | None]]:
        """Take a piece and return those that are known now."""

    def skip(self, text: str, annotation: Annotation) -> Sequence[tuple[str, Annotation | None]]:
        """Take a piece whose annotation is known already; return what was held back, and it."""

    def end(self) -> Sequence[tuple[str, Annotation | None]]:
        """Return what was held back."""


class Answer:
    """What a model says in one call.

    Args:
        run: Whose answer it is.
        new_id: Returns a new id of a kind.
        now: Returns the time in Unix seconds.
        references: Finds what its text refers to; ``None`` where there is nothing that it could.
        images: Files of images that its message begins with.
    """

    def __init__(
        self,
        run: Run,
        new_id: Callable[[str], str],
        now: Callable[[], int],
        *,
        references: References | None = None,
        images: Sequence[str] = (),
    ) -> None:
        self._run = run
        self._new_id = new_id
        self._now = now
        self._references = references
        self._images = images
        self._texts: list[str] = []
        self._annotations: list[Annotation] = []
        self._refusals: list[str] = []
        self._parts: list[Literal["text", "refusal"]] = []
        self._calls: dict[int, GrowingCall] = {}
        self._told: list[GrowingCall] = []
        self._built_in = built_in(run)
        self._text_frames = (b"", b"")
        self.message: Message | None = None
        self.step: RunStep | None = None
        self.reason: Literal["stop", "length", "tool_calls", "content_filter"] | None = None
        self.usage: UsageChunk | None = None

    def continued(self, chunks: Sequence[Chunk]) -> bytes | None:
        """Take a piece that only carries the text on, as nearly all do, and return its frame; ``None`` for others."""
        if len(chunks) != 1 or not self._texts or self._references is not None or self._calls:
            return None
        chunk = chunks[0]
        if not isinstance(chunk, TextChunk) or not chunk.text:
            return None
        self._texts.append(chunk.text)
        before, behind = self._text_frames
        return b"%b%b%b" % (before, encode(chunk.text), behind)

    def take(self, chunks: Sequence[Chunk]) -> Iterator[Outcome]:
        """Take what came in one read, and give what is to be done with it, in order."""
        frames: list[bytes] = []
        for chunk in chunks:
            match chunk:
                case TextChunk(text=text):
                    # What is said behind a call has no place of its own on the wire.
                    if not text or self._calls:
                        continue
                    if self.message is None:
                        yield from self._begin_message(frames)
                    frames += self._text(text)
                case RefusalChunk(text=text):
                    if not text or self._calls:
                        continue
                    if self.message is None:
                        yield from self._begin_message(frames)
                    frames.append(self._refusal(text))
                case CallChunk():
                    if not self._calls:
                        yield from self._begin_calls(frames)
                    frames += self._call(chunk)
                case FinishChunk(reason=reason):
                    self.reason = reason
                case UsageChunk():
                    self.usage = chunk
        if frames:
            yield Frames(b"".join(frames), len(frames))

    def end(self) -> Iterator[Outcome]:
        """Give what is still to be done when nothing more comes: an empty answer is a message, too."""
        frames: list[bytes] = []
        if self.message is None and not self._calls:
            yield from self._begin_message(frames)
        if not self._calls:
            frames += self._held_text()
        for call in self._calls.values():
            frames += self._tell(call, call.end())
        if frames:
            yield Frames(b"".join(frames), len(frames))

    @property
    def searches(self) -> list[SearchCall]:
        """The searches that it asks for."""
        return [call for call in self._calls.values() if isinstance(call, SearchCall)]

    @property
    def code(self) -> list[CodeCall]:
        """The code that it wants to be run."""
        return [call for call in self._calls.values() if isinstance(call, CodeCall)]

    def found(self, call: SearchCall, found: FileSearchCallDetails, shown: FileSearchCallDetails) -> Frames:
        """Take what a search found, and give the frame that tells of as much of it as is shown."""
        call.answer(found)
        frames = self._tell(call, msgspec.to_builtins(shown))
        return Frames(b"".join(frames), len(frames))

    def printed(self, call: CodeCall, outputs: Sequence[CodeOutput]) -> Frames:
        """Take what code came to, and give the frames that tell it."""
        frames = self._tell(call, call.answer(outputs))
        return Frames(b"".join(frames), len(frames))

    @property
    def has_calls(self) -> bool:
        """Whether the model called anything."""
        return bool(self._calls)

    @property
    def text(self) -> str:
        """What was said so far."""
        return "".join(self._texts)

    @property
    def written(self) -> str:
        """All that the model wrote so far: what it said, and its calls."""
        return self.text + "".join(call.name + call.arguments for call in self._calls.values())

    def grown_message(self) -> Message | None:
        """Return the message with all that was said so far."""
        if self.message is None:
            return None
        content: list[Part] = [ImageFilePart(image_file=ImageFile(file_id=each)) for each in self._images]
        for part in self._parts:
            if part == "text":
                content.append(TextPart(text=TextContent(value=self.text, annotations=list(self._annotations))))
            else:
                content.append(RefusalPart(refusal="".join(self._refusals)))
        return msgspec.structs.replace(self.message, content=content)

    def grown_calls(self) -> RunStep:
        """Return the step with the calls as they are."""
        assert self.step is not None
        calls = [*self._told, *(call for call in self._calls.values() if call not in self._told)]
        return msgspec.structs.replace(self.step, step_details=ToolCalls(tool_calls=[call.details() for call in calls]))

    def required_calls(self) -> list[RequiredToolCall]:
        """Return the calls as the application is told of them."""
        return [
            RequiredToolCall(id=call.id, function=CalledFunction(name=call.name, arguments=call.arguments))
            for call in self._told
            if call.kind == "function"
        ]

    def _flushed(self, frames: list[bytes]) -> Iterator[Outcome]:
        """Give the frames so far: what follows is written down first."""
        if frames:
            yield Frames(b"".join(frames), len(frames))
            frames.clear()

    # Text

    def _begin_message(self, frames: list[bytes]) -> Iterator[Outcome]:
        yield from self._flushed(frames)
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
        yield MessageBegins(self.step, self.message)
        for index, file_id in enumerate(self._images):
            part = {"index": index, "type": "image_file", "image_file": {"file_id": file_id}}
            frames.append(self._part_delta(part))

    def _text(self, text: str) -> list[bytes]:
        if self._references is None:
            return [self._text_piece(text, None)]
        return [self._text_piece(*each) for each in self._references.feed(text)]

    def _held_text(self) -> list[bytes]:
        if self._references is None:
            return []
        return [self._text_piece(*each) for each in self._references.end()]

    def _text_piece(self, text: str, annotation: Annotation | None) -> bytes:
        assert self.message is not None
        is_first = not self._texts
        if is_first:
            self._text_frames = text_delta_frames(self.message.id, self._place("text"))
        self._texts.append(text)
        before, behind = self._text_frames
        if annotation is not None:
            told = encode([_annotation_delta(annotation, len(self._annotations))])
            self._annotations.append(annotation)
            return b'%b%b,"annotations":%b%b' % (before, encode(text), told, behind)
        # The first piece brings the list of annotations, even where it is empty.
        return b"%b%b%b%b" % (before, encode(text), b',"annotations":[]' if is_first else b"", behind)

    def _refusal(self, text: str) -> bytes:
        self._refusals.append(text)
        return self._part_delta({"index": self._place("refusal"), "type": "refusal", "refusal": text})

    def _place(self, part: Literal["text", "refusal"]) -> int:
        """Return where in the message a part stands: parts stand in the order in which they began."""
        if part not in self._parts:
            self._parts.append(part)
        return len(self._images) + self._parts.index(part)

    def _part_delta(self, part: dict[str, Any]) -> bytes:
        assert self.message is not None
        return frame(
            "thread.message.delta",
            encode({"id": self.message.id, "object": "thread.message.delta", "delta": {"content": [part]}}),
        )

    # Calls

    def _begin_calls(self, frames: list[bytes]) -> Iterator[Outcome]:
        if self.message is not None:
            frames += self._held_text()
        yield from self._flushed(frames)
        self.step = self._new_step(ToolCalls(tool_calls=[]), self._now())
        yield CallsBegin(self.step)

    def _call(self, chunk: CallChunk) -> list[bytes]:
        call = self._calls.get(chunk.index)
        frames = []
        if call is None:
            name = chunk.name or ""
            make = BUILT_IN[name] if name in self._built_in else GrowingCall
            call = self._calls[chunk.index] = make(self._new_id("call"), name)
            frames += self._tell(call, call.begin())
        if chunk.arguments:
            frames += self._tell(call, call.grow(chunk.arguments))
        return frames

    def _tell(self, call: GrowingCall, told: dict[str, Any] | None) -> list[bytes]:
        """Return the frame that tells something of a call. Calls have their places in the order they are told of."""
        if told is None:
            return []
        assert self.step is not None
        if is_new := call not in self._told:
            self._told.append(call)
        place = {"index": self._told.index(call), **({"id": call.id} if is_new else {})}
        details = {"type": "tool_calls", "tool_calls": [{**place, "type": call.kind, call.kind: told}]}
        return [
            frame(
                "thread.run.step.delta",
                encode({"id": self.step.id, "object": "thread.run.step.delta", "delta": {"step_details": details}}),
            )
        ]

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


def _annotation_delta(annotation: Annotation, index: int) -> dict[str, Any]:
    told = {"index": index, **msgspec.to_builtins(annotation)}
    if isinstance(annotation, FileCitationAnnotation):
        told["file_citation"] = {**told["file_citation"], "quote": ""}  # as recorded, in deltas only
    return told


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


def run_frame(run: Run) -> bytes:
    """Return the frame of a run's status."""
    return frame(RUN_EVENTS[run.status], streamed_run(run))


def streamed_run(run: Run) -> bytes:
    """Return a run as streams show it: the code interpreter's list is there even when it is empty (as recorded)."""
    resources = run.tool_resources
    if resources is None or (not resources.code_interpreter and not resources.file_search):
        run = msgspec.structs.replace(
            run, tool_resources=ToolResources(code_interpreter=CodeInterpreterResources(file_ids=[]))
        )
    return encode(run)
