"""A model behind an endpoint that speaks chat completions, whoever runs it.

Retries are made before the first piece of an answer only: what was said cannot be taken back. All that one read brings
is one batch, and is handed on where it is received.

Source: createChatCompletion of the published reference, and what servers that follow it are seen to send.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import random
from typing import Any, Literal

import msgspec

from holdover import telemetry
from holdover.wire.sse import Parser, TooLong

from .protocol import (
    AssistantTurn,
    CallChunk,
    Chunk,
    FinishChunk,
    ForcedFunction,
    ImageInput,
    ModelError,
    ModelRequest,
    RefusalChunk,
    SchemaFormat,
    Sink,
    TextChunk,
    TextInput,
    ToolTurn,
    Turn,
    UsageChunk,
    UserTurn,
    estimate_tokens,
)
from .upstream import Incoming, Upstream

SORRY = "Sorry, something went wrong."
MAX_RETRIES = 2
FIRST_PAUSE_S = 0.5
#: Who asks for more patience than this is not waited for, in seconds.
LONGEST_PAUSE_S = 20.0
DEFAULT_TIMEOUT_S = 120.0
#: How long an answer may take to end behind its last event, in seconds, for its connection to be kept.
LAST_WORD_S = 0.1
#: The data of the last event.
LAST = b"[DONE]"
#: How much is read of what an endpoint says when it refuses.
REFUSAL_LIMIT_BYTES = 64 * 1024

#: Models that want their limit under its newer name, and know no temperature.
_REASONING = re.compile(r"(?:^|/)(?:o\d|gpt-5)")
#: Codes by which endpoints say that it is the prompt that they refuse.
_PROMPT_CODES = ("content_filter", "content_policy_violation", "invalid_prompt", "context_length_exceeded")


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
_encode = msgspec.json.Encoder().encode

_REASONS: dict[str, Literal["stop", "length", "tool_calls", "content_filter"]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class _Refused(Exception):
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


class CompatibleModel:
    """Asks an endpoint. See `holdover.models.protocol.Model`.

    Args:
        base_url: The endpoint's address, up to and including ``/v1``.
        api_key: What it is told as a bearer token.
        model: Its own name for the model.
        max_tokens_parameter: What it calls the limit on an answer; guessed from the model's name otherwise.
        timeout_s: How long it may be silent.
        sleep: Waits between attempts.
    """

    def __init__(
        self,
        upstream: Upstream,
        *,
        base_url: str,
        model: str,
        api_key: str | None = None,
        context_tokens: int = 128_000,
        max_tokens_parameter: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.context_tokens = context_tokens
        self.model = model
        self._upstream = upstream
        self._url = f"{base_url}/chat/completions"
        self._headers = {"content-type": "application/json", "accept": "text/event-stream"}
        if api_key:
            self._headers["authorization"] = f"Bearer {api_key}"
        self._max_tokens_parameter = max_tokens_parameter
        self._timeout_s = timeout_s
        self._sleep = sleep
        self._tells_usage = True

    def count_tokens(self, text: str) -> int:
        """Return about how many tokens a text has."""
        return estimate_tokens(text)

    def answer(self, request: ModelRequest) -> Answer:
        """Answer a request, batch by batch. See `Answer`."""
        return Answer(self, request)

    def ask(self, request: ModelRequest) -> Awaitable[Incoming]:
        """Send a request.

        Raises:
            OSError: There is no connection, or it broke off.
            TimeoutError: The endpoint was silent.
        """
        body = _encode(self._body(request))
        return self._upstream.ask(self._url, headers=self._headers, body=body, timeout_s=self._timeout_s)

    def pause(self, error: Exception, attempts: int) -> float | None:
        """Return the seconds to wait before it is asked again; ``None`` where that is in vain."""
        refused = error if isinstance(error, _Refused) else None
        if refused is not None:
            if refused.status == 400 and self._tells_usage and "stream_options" in refused.message:
                self._tells_usage = False  # an older server: it is asked again without
                return 0.0
            if refused.status not in (408, 409, 429) and refused.status < 500:
                return None
        return _pause(attempts, refused) if attempts < MAX_RETRIES else None

    async def wait(self, seconds: float) -> None:
        """Wait between attempts."""
        await self._sleep(seconds)

    def _body(self, request: ModelRequest) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.model, "messages": _messages(request), "stream": True}
        if self._tells_usage:
            body["stream_options"] = {"include_usage": True}
        if request.functions:
            body["tools"] = [_tool(function) for function in request.functions]
            choice = request.tool_choice
            body["tool_choice"] = (
                {"type": "function", "function": {"name": choice.name}}
                if isinstance(choice, ForcedFunction)
                else choice
            )
            if not request.parallel_tool_calls:
                body["parallel_tool_calls"] = False
        for name in ("temperature", "top_p", "reasoning_effort"):
            if (value := getattr(request, name)) is not None:
                body[name] = value
        if request.max_completion_tokens is not None:
            body[self._limit_name(request)] = request.max_completion_tokens
        if request.response_format is not None:
            body["response_format"] = _format(request.response_format)
        return body

    def _limit_name(self, request: ModelRequest) -> str:
        if self._max_tokens_parameter:
            return self._max_tokens_parameter
        is_newer = request.reasoning_effort is not None or _REASONING.search(self.model)
        return "max_completion_tokens" if is_newer else "max_tokens"


class Answer:
    """An answer as it comes: an iterator of batches; or `pour` hands them on.

    Raises:
        ModelError: The endpoint refused, failed, or broke off.
    """

    def __init__(self, model: CompatibleModel, request: ModelRequest) -> None:
        self._model = model
        self._request = request
        self._attempts = 0
        self._incoming: Incoming | None = None
        self._parser = Parser()
        self._reader = _Reader()
        self._sink: Sink = lambda batch: True
        self._has_begun = False
        self._has_said_all = False
        self._is_over = False

    def __aiter__(self) -> Answer:
        return self

    async def __anext__(self) -> Sequence[Chunk]:
        taken: list[Sequence[Chunk]] = []

        def take(batch: Sequence[Chunk]) -> bool:
            taken.append(batch)
            return False

        while not taken:
            if not await self.pour(take) and not taken:
                raise StopAsyncIteration
        return taken[0]

    async def aclose(self) -> None:
        """Want no more of it."""
        self._is_over = True
        await self._let_go()

    async def pour(self, sink: Sink) -> bool:
        """Hand batches to ``sink`` as they come. See `holdover.models.protocol.pour`."""
        self._sink = sink
        while not self._is_over:
            try:
                return await self._go_on()
            except (_Refused, OSError, TimeoutError, TooLong, msgspec.MsgspecError) as error:
                await self._let_go()
                pause = self._model.pause(error, self._attempts) if not self._has_begun else None
                told = {"model": self._model.model, "run_id": self._request.run_id, "error": error}
                if pause is None:
                    self._is_over = True
                    telemetry.emit("model.failure", **told)
                    raise (_told(error) if isinstance(error, _Refused) else ModelError(SORRY)) from error
            if pause:
                telemetry.emit("model.retry", **told, seconds=pause)
                await self._model.wait(pause)
                self._attempts += 1
        return False

    async def _let_go(self) -> None:
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            await incoming.close()

    async def _go_on(self) -> bool:
        """Hand on more of the answer, asking for it first; return whether there may be more."""
        incoming = self._incoming
        if incoming is None:
            incoming = self._incoming = await self._model.ask(self._request)
            self._parser, self._reader = Parser(), _Reader()
            if incoming.status != 200:
                raise _Refused(incoming.status, incoming.headers, await _whole(incoming, REFUSAL_LIMIT_BYTES))
            if incoming.headers.get("content-type", "").startswith("application/json"):
                return await self._finish(self._reader.take(await _whole(incoming)))
        if await incoming.pour(self._take) and not self._has_said_all:
            return True
        if self._has_said_all:
            with contextlib.suppress(OSError, TimeoutError):
                await incoming.read(LAST_WORD_S)
        else:
            rest = [event.data for event in self._parser.end() if event.data != LAST]
            batch = [chunk for data in rest for chunk in self._reader.take(data)]
            if not self._reader.has_finished:
                raise ConnectionError("the answer broke off")
            return await self._finish(batch)
        return await self._finish()

    async def _finish(self, batch: Sequence[Chunk] = ()) -> bool:
        if batch:
            self._has_begun = True
            self._sink(batch)
        await self.aclose()
        return False

    def _take(self, data: bytes) -> bool:
        batch: list[Chunk] = []
        for event in self._parser.feed(data):
            if event.data == LAST:
                self._has_said_all = True
                break
            batch += self._reader.take(event.data)
        wants_more = True
        if batch:
            self._has_begun = True
            wants_more = self._sink(batch)
        return wants_more and not self._has_said_all


# --------------------------------------------------------------------------------------------- what is sent


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


async def _whole(answer: Incoming, limit_bytes: int | None = None) -> bytes:
    """Return all that is still to come of an answer; no more than about ``limit_bytes`` of it."""
    parts: list[bytes] = []
    size = 0
    while (limit_bytes is None or size < limit_bytes) and (data := await answer.read()):
        parts.append(data)
        size += len(data)
    return b"".join(parts)


class _Reader:
    """Reads the pieces of one answer, and forgives what servers are seen to do differently."""

    def __init__(self) -> None:
        self._ids: list[str | None] = []
        self._names: list[str] = []
        self.has_finished = False

    def take(self, data: bytes) -> list[Chunk]:
        """Return what a piece says.

        Raises:
            ModelError: It says that something went wrong.
        """
        piece = _decode(data)
        if piece.error is not None and bytes(piece.error) != b"null":
            raise _Refused(500, {}, b'{"error":%b}' % bytes(piece.error))
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
        if index < len(self._ids):
            return CallChunk(index, arguments=arguments)
        self._ids += [None] * (index - len(self._ids)) + [call.id]
        return CallChunk(index, call.id, name, arguments)


def _told(refused: _Refused) -> ModelError:
    """Return what a run says of a refusal: the endpoint's own words where they are the run's owner's concern."""
    code = refused.members.get("code")
    if refused.status == 429:
        return ModelError(refused.message, code="rate_limit_exceeded")
    if refused.status in (400, 413, 422):
        if code in _PROMPT_CODES or refused.members.get("type") in _PROMPT_CODES:
            return ModelError(refused.message, code="invalid_prompt")
        return ModelError(f"The model's endpoint refused the request: {refused.message}")
    if refused.status in (401, 403):
        return ModelError("The model's endpoint refused the service's key.")
    if refused.status == 404:
        return ModelError(f"The model's endpoint does not have it: {refused.message}")
    return ModelError(SORRY)


def _pause(attempt: int, refused: _Refused | None) -> float | None:
    """Return the seconds to wait, ``None`` where the endpoint asks for more patience than there is."""
    if refused is not None:
        milliseconds, seconds = refused.retry_after
        try:
            told = float(milliseconds) / 1000 if milliseconds else float(seconds) if seconds else None
        except ValueError:
            told = None
        if told is not None:
            return told if 0 <= told <= LONGEST_PAUSE_S else None
    longest: float = FIRST_PAUSE_S * 2**attempt
    return longest * (1 - 0.25 * random())
