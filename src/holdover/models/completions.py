"""A chat completion: what it is asked with, and what the pieces of its answer say. Pure.

Source: createChatCompletion of the published reference, and what servers that follow it are seen to send.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from holdover.wire.sse import Parser, TooLong

from .protocol import (
    AssistantTurn,
    CallChunk,
    Chunk,
    FinishChunk,
    ForcedFunction,
    ImageInput,
    ModelRequest,
    RefusalChunk,
    SchemaFormat,
    TextChunk,
    TextInput,
    ToolTurn,
    Turn,
    UsageChunk,
    UserTurn,
)

#: The data of an answer's last event.
LAST = b"[DONE]"
#: How many calls one answer may make.
MAX_CALLS = 1024

#: Models that want their limit under its newer name, and know no temperature.
_REASONING = re.compile(r"(?:^|/)(?:o\d|gpt-5)")

# --------------------------------------------------------------------------------------------- what is sent


def body(
    request: ModelRequest, *, model: str, tells_usage: bool = True, max_tokens_parameter: str | None = None
) -> dict[str, Any]:
    """Return what an endpoint is asked.

    Args:
        model: The endpoint's own name for the model.
        tells_usage: Whether it can be asked what an answer took.
        max_tokens_parameter: What it calls the limit on an answer; guessed from the model's name otherwise.
    """
    asked: dict[str, Any] = {"model": model, "messages": _messages(request), "stream": True}
    if tells_usage:
        asked["stream_options"] = {"include_usage": True}
    if request.functions:
        asked["tools"] = [_tool(function) for function in request.functions]
        choice = request.tool_choice
        asked["tool_choice"] = (
            {"type": "function", "function": {"name": choice.name}} if isinstance(choice, ForcedFunction) else choice
        )
        if not request.parallel_tool_calls:
            asked["parallel_tool_calls"] = False
    for name in ("temperature", "top_p", "reasoning_effort"):
        if (value := getattr(request, name)) is not None:
            asked[name] = value
    if request.max_completion_tokens is not None:
        asked[max_tokens_parameter or _limit_name(request, model)] = request.max_completion_tokens
    if request.response_format is not None:
        asked["response_format"] = _format(request.response_format)
    return asked


def _limit_name(request: ModelRequest, model: str) -> str:
    is_newer = request.reasoning_effort is not None or _REASONING.search(model)
    return "max_completion_tokens" if is_newer else "max_tokens"


def _messages(request: ModelRequest) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if request.instructions:
        messages.append({"role": "system", "content": request.instructions})
    for turn in request.turns:
        message = _message(turn)
        last = messages[-1] if messages else None
        if last is not None and "tool_calls" in message and last["role"] == "assistant" and "tool_calls" not in last:
            last["tool_calls"] = message["tool_calls"]  # what was said before the calls belongs to them
        else:
            messages.append(message)
    return messages


def _message(turn: Turn) -> dict[str, Any]:
    match turn:
        case UserTurn(content=content):
            if all(isinstance(part, TextInput) for part in content):
                return {"role": "user", "content": "\n".join(p.text for p in content if isinstance(p, TextInput))}
            return {"role": "user", "content": [_part(part) for part in content]}
        case AssistantTurn(text=text, calls=calls):
            if not calls:
                return {"role": "assistant", "content": text}
            called = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in calls
            ]
            return {"role": "assistant", "content": text or None, "tool_calls": called}
        case ToolTurn(call_id=call_id, output=output):
            return {"role": "tool", "tool_call_id": call_id, "content": output}


def _part(part: TextInput | ImageInput) -> dict[str, Any]:
    if isinstance(part, TextInput):
        return {"type": "text", "text": part.text}
    return {"type": "image_url", "image_url": {"url": part.url, "detail": part.detail}}


def _tool(function: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": function.name, "parameters": function.parameters}
    if function.description:
        shown["description"] = function.description
    if function.strict:
        shown["strict"] = True
    return {"type": "function", "function": shown}


def _format(wanted: SchemaFormat) -> dict[str, Any]:
    if wanted.schema is None:
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": wanted.name, "schema": wanted.schema}
    if wanted.description:
        schema["description"] = wanted.description
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}


# -------------------------------------------------------------------------------------------- what comes


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None


class _AnswerDetails(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _AnswerDetails | None = None


class _Completion(msgspec.Struct, gc=False):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: msgspec.Raw | None = None


_decode = msgspec.json.Decoder(_Completion).decode

_REASONS: dict[str, Literal["stop", "length", "tool_calls", "content_filter"]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class Refused(Exception):
    """The endpoint answered with an error."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.retry_after = headers.get("retry-after-ms"), headers.get("retry-after")
        try:
            decoded = msgspec.json.decode(body)
        except msgspec.MsgspecError:
            decoded = None
        error = decoded.get("error", decoded) if isinstance(decoded, dict) else None
        self.members: dict[str, Any] = error if isinstance(error, dict) else {}
        self.message = str(self.members.get("message") or (error if isinstance(error, str) else "") or f"HTTP {status}")


class Reader:
    """Reads the pieces of one answer, and forgives what servers are seen to do differently."""

    def __init__(self) -> None:
        self._ids: list[str | None] = []
        self._names: list[str] = []
        self.has_finished = False

    def take(self, data: bytes) -> list[Chunk]:
        """Return what a piece says.

        Raises:
            Refused: It says that something went wrong.
            MsgspecError: It cannot be read.
        """
        piece = _decode(data)
        if piece.error is not None and bytes(piece.error) != b"null":
            raise Refused(500, {}, b'{"error":%b}' % bytes(piece.error))
        chunks: list[Chunk] = []
        for choice in piece.choices[:1]:
            said = choice.delta or choice.message
            if said is not None:
                if said.content:
                    chunks.append(TextChunk(said.content))
                if said.refusal:
                    chunks.append(RefusalChunk(said.refusal))
                chunks += map(self._call, said.tool_calls or ())
            if choice.finish_reason:
                self.has_finished = True
                chunks.append(FinishChunk(_REASONS.get(choice.finish_reason, "stop")))
        if piece.usage is not None:
            told = piece.usage
            cached = told.prompt_tokens_details.cached_tokens if told.prompt_tokens_details else 0
            reasoning = told.completion_tokens_details.reasoning_tokens if told.completion_tokens_details else 0
            chunks.append(UsageChunk(told.prompt_tokens, told.completion_tokens, cached or 0, reasoning or 0))
        return chunks

    def _call(self, call: _Call) -> CallChunk:
        """Return a piece of a call under its place; some servers number none, some name each in every piece."""
        index = call.index
        if index is None:
            is_new = bool(call.id and call.id not in self._ids) or not self._ids
            index = len(self._ids) if is_new else len(self._ids) - 1
        name = call.function.name if call.function else None
        arguments = (call.function.arguments if call.function else None) or ""
        if not 0 <= index < MAX_CALLS:
            raise Refused(502, {}, b"")  # places are kept for all below
        if index < len(self._ids):
            return CallChunk(index, arguments=arguments)
        self._ids += [None] * (index - len(self._ids)) + [call.id]
        return CallChunk(index, call.id, name, arguments)


#: How often is learnt from whatever comes, and of how many events from one after that.
EAGER, SELDOM = 4, 16

#: A text that JSON writes as it is.
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]+').fullmatch
#: Other texts: what is read must be the one or the other, as the event says, and so cannot be all the same to it.
_OTHERS = (b"another text", b"a third one")


class Likeness:
    """What those events of an answer have in common that carry its text on, as nearly all do: they need not be read.

    It is learnt from one of them, by trying how that is read with other texts in the place of its own. What stands
    around the text must then be the same, byte for byte, and the text must be one that JSON writes as it is.
    """

    __slots__ = ("_before", "_behind", "_offered")

    def __init__(self) -> None:
        self._before: bytes | None = None
        self._behind = b""
        self._offered = 0

    def text(self, event: bytes) -> str | None:
        """Return the text of an event that is like the one learnt from; ``None`` if it has to be read."""
        before = self._before
        if before is None or not event.startswith(before) or not event.endswith(self._behind):
            return None
        text = event[len(before) : -len(self._behind)]
        if _PLAIN(text) is None:
            return None
        try:
            return text.decode()
        except UnicodeDecodeError:
            return None

    def learn(self, event: bytes, text: str) -> None:
        """Learn from an event that was read, and had nothing but a text.

        The first event may have more than the others, and some endpoints write something else into each: what is in
        vain is tried a few times, then seldom.
        """
        self._offered += 1
        if self._offered > EAGER and self._offered % SELDOM:
            return
        written = text.encode("utf-8", "replace")
        at = event.find(b'"%b"' % written, event.find(b'"content"') + len(b'"content"')) + 1
        if not at:
            return
        before, behind = event[:at], event[at + len(written) :]
        if all(_says_only(before + other + behind, other.decode()) for other in _OTHERS):
            self._before, self._behind = before, behind


def _says_only(event: bytes, text: str) -> bool:
    """Whether this is one whole event that says nothing but a text."""
    parser = Parser()
    try:
        read = [Reader().take(each.data) for each in parser.feed(event)]
    except (Refused, TooLong, msgspec.MsgspecError):
        return False
    return parser.is_between_events and read == [[TextChunk(text)]]
