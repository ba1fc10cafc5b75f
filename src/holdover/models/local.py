"""A small language model in this process: SmolLM2-135M-Instruct, run by ``xllamacpp``.

llama.cpp's own server answers on a port of loopback, on threads of its own: the event loop is never held up, and
closing the connection ends the work. So it is asked as any other endpoint is (`compatible`); here is only what a model
of this size needs beside that. Its template knows no tools, so a call that is demanded is had by a grammar: its form
is right, its sense is luck.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from .compatible import CompatibleModel
from .protocol import (
    AssistantTurn,
    CallChunk,
    Chunk,
    FinishChunk,
    ForcedFunction,
    FunctionSpec,
    ImageInput,
    ModelError,
    ModelRequest,
    SchemaFormat,
    TextChunk,
    TextInput,
    ToolTurn,
    Turn,
    UsageChunk,
    UserTurn,
)
from .upstream import Upstream
from .weights import find_weights

#: What it was trained for; answers longer than this wander off.
CONTEXT_TOKENS = 8192
ANSWER_TOKENS = 512
#: How many conversations share the context at the same time; others wait.
SLOTS = 2


class LocalModel:
    """Answers from weights on this machine. See `holdover.models.protocol.Model`.

    Args:
        upstream: What reaches the server that holds the weights, in this process.
        path: A file of weights (GGUF); the one that was pulled or installed otherwise.
        data_dir: The folder that weights are pulled into.
    """

    context_tokens = CONTEXT_TOKENS // SLOTS

    def __init__(self, upstream: Upstream, path: str | None = None, *, data_dir: str | None = None) -> None:
        self._path = path
        self._data_dir = data_dir
        self._upstream = upstream
        self._server: Any = None
        self._endpoint: CompatibleModel | None = None
        self._loading = asyncio.Lock()

    def count_tokens(self, text: str) -> int:
        """Return about how many tokens a text has."""
        return len(text.encode("utf-8", "replace")) // 3 + 1

    async def answer(self, request: ModelRequest) -> AsyncIterator[Sequence[Chunk]]:
        """Answer a request, batch by batch.

        Raises:
            ModelError: The weights cannot be used, or the request has an image.
        """
        endpoint = await self._ready()
        wanted = _demanded(request)
        asked = msgspec.structs.replace(
            request,
            turns=[_readable(turn) for turn in request.turns],
            functions=(),
            max_completion_tokens=min(request.max_completion_tokens or ANSWER_TOKENS, ANSWER_TOKENS),
            reasoning_effort=None,
        )
        if not wanted:
            async for batch in endpoint.answer(asked):
                yield batch
            return
        asked = msgspec.structs.replace(
            asked,
            instructions=_told_of(wanted, request.instructions),
            response_format=SchemaFormat(name="call", schema=_any_call_of(wanted)),
        )
        said: list[str] = []
        rest: list[Chunk] = []
        async for batch in endpoint.answer(asked):
            said += [chunk.text for chunk in batch if isinstance(chunk, TextChunk)]
            rest += [chunk for chunk in batch if isinstance(chunk, UsageChunk | FinishChunk)]
        yield [*_as_call("".join(said)), *(FinishChunk("tool_calls") if _ends_well(each) else each for each in rest)]

    async def close(self) -> None:
        """Let go of the weights."""
        self._server = self._endpoint = None

    async def _ready(self) -> CompatibleModel:
        async with self._loading:
            if self._endpoint is None:
                path = self._path or find_weights(self._data_dir)
                if path is None:
                    raise ModelError("The local model has no weights here: holdover models pull")
                self._server = await asyncio.to_thread(_load, path)
                self._endpoint = CompatibleModel(
                    self._upstream,
                    base_url=f"{self._server.listening_address}/v1",
                    model="local",
                    context_tokens=self.context_tokens,
                )
            return self._endpoint


def _load(path: str) -> Any:
    try:
        import xllamacpp  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise ModelError('The local model needs what runs it: pip install "holdover[local]"') from error
    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.n_ctx = CONTEXT_TOKENS
    parameters.n_parallel = SLOTS
    parameters.verbosity = -1
    try:
        return xllamacpp.Server(parameters)
    except Exception as error:
        raise ModelError(f"The weights {path} cannot be used.") from error


def _demanded(request: ModelRequest) -> Sequence[FunctionSpec]:
    """Return the functions of which one must be called; none where the model may answer in words: it then does."""
    if isinstance(request.tool_choice, ForcedFunction):
        return [each for each in request.functions if each.name == request.tool_choice.name]
    return request.functions if request.tool_choice == "required" else ()


def _readable(turn: Turn) -> Turn:
    """Return a turn in words: calls and their outputs are nothing that the template knows."""
    match turn:
        case UserTurn(content=content):
            if any(isinstance(part, ImageInput) for part in content):
                raise ModelError("The local model reads text only; the thread has an image.", code="invalid_prompt")
            return turn
        case AssistantTurn(text=text, calls=calls):
            called = " ".join(f"I look it up with {call.name}({call.arguments})." for call in calls)
            return AssistantTurn(" ".join(filter(None, (text, called))))
        case ToolTurn(output=output):
            return UserTurn([TextInput(f"The result is: {output}\nAnswer my question with it, in one sentence.")])


def _told_of(functions: Sequence[FunctionSpec], instructions: str | None) -> str:
    listed = "\n".join(
        f"- {each.name}: {each.description or ''} Parameters: {msgspec.json.encode(each.parameters).decode()}"
        for each in functions
    )
    return f"{instructions or ''}\n\nCall one of these tools, with JSON:\n{listed}".strip()


def _any_call_of(functions: Sequence[FunctionSpec]) -> dict[str, Any]:
    calls = [
        {
            "type": "object",
            "properties": {"tool": {"const": each.name}, "arguments": each.parameters},
            "required": ["tool", "arguments"],
            "additionalProperties": False,
        }
        for each in functions
    ]
    return calls[0] if len(calls) == 1 else {"anyOf": calls}


def _as_call(text: str) -> list[Chunk]:
    try:
        call = msgspec.json.decode(text)
        return [
            CallChunk(0, name=str(call["tool"])),
            CallChunk(0, arguments=msgspec.json.encode(call["arguments"]).decode()),
        ]
    except (msgspec.MsgspecError, KeyError, TypeError):
        return [TextChunk(text)]  # it was cut off by its limit: half a call is no call


def _ends_well(chunk: Chunk) -> bool:
    return isinstance(chunk, FinishChunk) and chunk.reason == "stop"
