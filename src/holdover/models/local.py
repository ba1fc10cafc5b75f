"""A small language model in this process: SmolLM2-135M-Instruct, run by ``xllamacpp``.

llama.cpp's own server answers on a port of loopback, on threads of its own: the event loop is never held up, and
closing the connection ends the work. So it is asked as any other endpoint is (`compatible`); here is only what a model
of this size needs beside that:

- Its template knows no tools, so a call that is demanded is had by a grammar: its form is right, its sense is luck.
- It cannot tell when to search files, nor for what. Where it may, it does, once, for the user's own words.
- It answers best from a text that stands before the question, in one turn (measured, with several wordings). It reads
  the best passage alone, and cannot be told to cite: its answer ends with the marker of what it read.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
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
#: As much of what calls came to as is read: some 800 tokens of English, and never more than fit: no byte is two tokens.
READ_BYTES = 3200

FILE_SEARCH = "file_search"
#: A passage behind its marker, up to the next one, as `tools.file_search.citations` shows them.
_PASSAGE = re.compile(r"^(【\d+:\d+†[^【】\n]*】)\n(.*?)(?=\n\n【\d+:\d+†[^【】\n]*】\n|\Z)", re.MULTILINE | re.DOTALL)


class Reading(msgspec.Struct, frozen=True):
    """A conversation as this model reads it, and the markers of the passages that are in it."""

    turns: Sequence[Turn]
    markers: Sequence[str] = ()


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
        wanted = _demanded(request)
        if len(wanted) == 1 and _is_file_search(wanted[0]):
            yield _search_for(_question(request.turns))
            return
        endpoint = await self._ready()
        reading = _read(request.turns)
        asked = msgspec.structs.replace(
            request,
            turns=reading.turns,
            functions=(),
            temperature=0.0 if request.temperature is None else request.temperature,
            max_completion_tokens=min(request.max_completion_tokens or ANSWER_TOKENS, ANSWER_TOKENS),
            reasoning_effort=None,
        )
        if not wanted:
            cites = reading.markers and request.response_format is None
            cited = [TextChunk(f" {''.join(reading.markers)}")] if cites else []
            async with aclosing(endpoint.answer(asked)) as batches:
                async for batch in batches:
                    end = next((at for at, chunk in enumerate(batch) if isinstance(chunk, FinishChunk)), None)
                    yield batch if end is None else [*batch[:end], *cited, *batch[end:]]
            return
        asked = msgspec.structs.replace(
            asked,
            instructions=_told_of(wanted, request.instructions),
            response_format=SchemaFormat(name="call", schema=_any_call_of(wanted)),
        )
        said: list[str] = []
        rest: list[Chunk] = []
        async with aclosing(endpoint.answer(asked)) as batches:
            async for batch in batches:
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
    """Return the functions of which one must be called; none where the model may answer in words: it then does.

    Files, where there are any, are searched before the first words.
    """
    match request.tool_choice:
        case ForcedFunction(name=name):
            return [each for each in request.functions if each.name == name]
        case "required":
            return request.functions
        case "auto" if not any(isinstance(turn, ToolTurn) for turn in request.turns):
            return [each for each in request.functions if _is_file_search(each)]
        case _:
            return ()


def _is_file_search(function: FunctionSpec) -> bool:
    """Whether it is asked as the built-in search is, and not another function that is called the same."""
    return function.name == FILE_SEARCH and function.parameters.get("required") == ["query"]


def _search_for(query: str) -> Sequence[Chunk]:
    arguments = msgspec.json.encode({"query": query}).decode()
    return (CallChunk(0, name=FILE_SEARCH), CallChunk(0, arguments=arguments), FinishChunk("tool_calls"))


def _question(turns: Sequence[Turn]) -> str:
    """Return what the user said last.

    Raises:
        ModelError: It has an image.
    """
    return next((_text(turn) for turn in reversed(turns) if isinstance(turn, UserTurn)), "")


def _text(turn: UserTurn) -> str:
    if any(isinstance(part, ImageInput) for part in turn.content):
        raise ModelError("The local model reads text only; the thread has an image.", code="invalid_prompt")
    return "\n".join(part.text for part in turn.content if isinstance(part, TextInput))


def _read(turns: Sequence[Turn]) -> Reading:
    """Return a conversation in words: calls and their outputs are nothing that the template knows.

    What calls came to stands before the question that they were made for.
    """
    searches = {
        call.id for turn in turns if isinstance(turn, AssistantTurn) for call in turn.calls if call.name == FILE_SEARCH
    }
    passages: list[str] = []
    markers: list[str] = []
    outputs: list[str] = []
    for turn in turns:
        if not isinstance(turn, ToolTurn):
            continue
        if turn.call_id not in searches:
            outputs.append(turn.output)
        elif best := _PASSAGE.search(turn.output):
            markers.append(best[1])
            passages.append(best[2])
    words: list[Turn] = []
    for turn in turns:
        if isinstance(turn, UserTurn):
            words.append(UserTurn([TextInput(_text(turn))]))
        elif isinstance(turn, AssistantTurn) and not turn.calls:
            words.append(turn)
    if came_to := [*passages, *outputs]:  # what is cited goes first: nothing is cut off before it
        asked = max((index for index, turn in enumerate(words) if isinstance(turn, UserTurn)), default=len(words))
        read = "\n\n".join(came_to).encode("utf-8", "replace")[:READ_BYTES].decode("utf-8", "ignore")
        words[asked:] = [UserTurn([TextInput(f"{read}\n\nAccording to the text above: {_question(turns)}")])]
    return Reading(words, markers)


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
