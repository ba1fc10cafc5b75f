"""A model that says what it is told to: for tests and demonstrations, without a network, always the same.

It obeys directives, lines that begin with ``!``, in the newest message of the user (or else in the instructions):

``!say TEXT``             says this, word by word
``!call NAME {"a": 1}``   calls a function; several lines call several at once
``!refuse TEXT``          declines
``!fail CODE [MESSAGE]``  cannot answer: ``server_error``, ``rate_limit_exceeded`` or ``invalid_prompt``
``!delay SECONDS``        waits that long before every piece that follows
``!hang``                 waits for ever
``!finish REASON``        ends for this reason: ``stop``, ``length`` or ``content_filter``
``!usage PROMPT ANSWER``  says that so many tokens were used
``!then``                 what follows is for the next time the model is asked, after the outputs of calls

Without directives it repeats what the user said; asked again after calls, it repeats their outputs. A response format
gets the least JSON that fits it, a call that is demanded the least arguments that fit its parameters. A word is a
token.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import msgspec

from .protocol import (
    AssistantTurn,
    CallChunk,
    Chunk,
    FinishChunk,
    ForcedFunction,
    ModelError,
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

#: A piece of a reply: a chunk, several that come together, or a pause in seconds.
Piece = Chunk | Sequence[Chunk] | float
#: What is said at one time: a text, which may consist of directives, or pieces.
Reply = str | Iterable[Piece]
#: What a model says in program: a function of the request, or replies that are used one after the other.
Script = Callable[[ModelRequest], Reply] | Sequence[Reply]

_DIRECTIVE = re.compile(r"^!(\w+)[ \t]*(.*)$", re.MULTILINE)
_PIECES = re.compile(r"\s*\S+|\s+\Z")

Directive = tuple[str, str]


class ScriptedModel:
    """Says what it is told to. See `holdover.models.protocol.Model`.

    Args:
        script: Says what, whatever is said to it: a function of the request, or replies in their order (the last one
            is repeated).
        context_tokens: How long a conversation may be.
        sleep: Waits; a test may pass a function that does not.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        context_tokens: int = 128_000,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.context_tokens = context_tokens
        #: What it was asked, in order.
        self.requests: list[ModelRequest] = []
        self.script = script
        self._sleep = sleep

    @property
    def script(self) -> Script | None:
        """What it says; setting it begins at the first reply."""
        return self._script

    @script.setter
    def script(self, script: Script | None) -> None:
        self._script = script
        self._replies = 0

    def count_tokens(self, text: str) -> int:
        """Return the number of words."""
        return len(text.split())

    async def answer(self, request: ModelRequest) -> AsyncIterator[Sequence[Chunk]]:
        """Answer as the script says."""
        if len(self.requests) < 1000:
            self.requests.append(request)
        limit = request.max_completion_tokens
        said = 0
        usage: UsageChunk | None = None
        finish: FinishChunk | None = None
        calls = False
        for piece in self._reply(request):
            if isinstance(piece, float | int):
                await self._sleep(piece)
                continue
            for chunk in [piece] if isinstance(piece, msgspec.Struct) else piece:
                match chunk:
                    case UsageChunk():
                        usage = chunk
                        continue
                    case FinishChunk():
                        finish = chunk
                        continue
                    case CallChunk():
                        calls = True
                    case TextChunk() | RefusalChunk():
                        pass
                if limit is not None and said >= limit:
                    finish = FinishChunk("length")
                    break
                said += 1
                yield (chunk,)
            else:
                continue
            break
        prompt = self.count_tokens(request.instructions or "") + sum(_words(turn) for turn in request.turns)
        yield (finish or FinishChunk("tool_calls" if calls else "stop"), usage or UsageChunk(prompt, said))

    def _reply(self, request: ModelRequest) -> Iterable[Piece]:
        if self._script is None:
            return obey(request)
        if callable(self._script):
            reply = self._script(request)
        else:
            reply = self._script[min(self._replies, len(self._script) - 1)]
            self._replies += 1
        return _told(reply) if isinstance(reply, str) else reply


def obey(request: ModelRequest) -> Iterator[Piece]:
    """Give the reply that a request's own directives ask for.

    Raises:
        ModelError: They ask for that.
    """
    directives = _directives(request, _times_asked(request))
    return _unbidden(request) if directives is None else _carried_out(directives)


def _told(text: str) -> Iterator[Piece]:
    """Give the reply that a text is: its directives, or else its words."""
    parts = _parts(text)
    return map(TextChunk, _pieces(text)) if parts == [[]] else _carried_out(parts[0])


def _carried_out(directives: Iterable[Directive]) -> Iterator[Piece]:
    delay = 0.0
    calls = 0
    for name, rest in directives:
        if delay and name in ("say", "call", "refuse", "fail"):
            yield delay
        match name:
            case "say":
                for index, piece in enumerate(_pieces(rest)):
                    if index and delay:
                        yield delay
                    yield TextChunk(piece)
            case "call":
                function, _, arguments = rest.partition(" ")
                yield CallChunk(calls, name=function)
                for piece in _halves(arguments.strip() or "{}"):
                    yield CallChunk(calls, arguments=piece)
                calls += 1
            case "refuse":
                yield from map(RefusalChunk, _pieces(rest))
            case "fail":
                code, _, message = rest.partition(" ")
                raise ModelError(message or "The script says so.", code=_code(code))
            case "delay":
                delay = float(rest)
            case "hang":
                yield 1e9
            case "finish":
                yield FinishChunk(rest.strip())  # type: ignore[arg-type]
            case "usage":
                prompt, answer = rest.split()
                yield UsageChunk(int(prompt), int(answer))
            case _:
                raise ModelError(f"The script has no directive '!{name}'.", code="invalid_prompt")


def _directives(request: ModelRequest, asked_before: int) -> list[Directive] | None:
    """Return what the script says for this time, ``None`` where there is no script or it says no more."""
    for text in (_last_text(request), request.instructions or ""):
        parts = _parts(text)
        if parts != [[]]:
            return parts[asked_before] if asked_before < len(parts) else None
    return None


def _parts(text: str) -> list[list[Directive]]:
    """Return the directives of a text, for each time that it is followed."""
    parts: list[list[Directive]] = [[]]
    for match in _DIRECTIVE.finditer(text):
        if match[1] == "then":
            parts.append([])
        else:
            parts[-1].append((match[1], match[2]))
    return parts


def _unbidden(request: ModelRequest) -> Iterator[Piece]:
    outputs = [turn.output for turn in _newest(request) if isinstance(turn, ToolTurn)]
    if outputs:
        text = f"The answer is: {'; '.join(outputs)}"
    elif request.tool_choice == "required" or isinstance(request.tool_choice, ForcedFunction):
        forced = request.tool_choice.name if isinstance(request.tool_choice, ForcedFunction) else None
        function = next(each for each in request.functions if forced in (None, each.name))
        yield CallChunk(0, name=function.name)
        yield CallChunk(0, arguments=msgspec.json.encode(least(function.parameters)).decode())
        return
    else:
        text = f"You said: {_last_text(request)}"
    if request.response_format is not None:
        text = _formatted(request.response_format, text)
    yield from map(TextChunk, _pieces(text))


def _formatted(wanted: SchemaFormat, text: str) -> str:
    instance = {"answer": text} if wanted.schema is None else least(wanted.schema)
    return msgspec.json.encode(instance).decode()


def least(schema: Any, root: Any = None) -> Any:
    """Return the least value that fits a JSON schema."""
    if not isinstance(schema, dict):
        return {}
    root = schema if root is None else root
    if "$ref" in schema:
        target = root
        for part in str(schema["$ref"]).removeprefix("#").strip("/").split("/"):
            target = target.get(part, {}) if isinstance(target, dict) else {}
        return least(target, root)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return least(schema[key][0], root)
    kind = schema.get("type", "object" if "properties" in schema else None)
    kind = kind[0] if isinstance(kind, list) and kind else kind
    match kind:
        case "object":
            properties = schema.get("properties", {})
            return {name: least(properties.get(name, {}), root) for name in schema.get("required", ())}
        case "array":
            return [least(schema.get("items", {}), root) for _ in range(schema.get("minItems", 0))]
        case "string":
            return "x" * schema.get("minLength", 0)
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case _:
            return None


def _times_asked(request: ModelRequest) -> int:
    """Return how often the model has answered since the user spoke: each time with calls."""
    return sum(isinstance(turn, AssistantTurn) and bool(turn.calls) for turn in _newest(request))


def _newest(request: ModelRequest) -> Sequence[Turn]:
    """Return what came after the user's newest message."""
    for index in range(len(request.turns) - 1, -1, -1):
        if isinstance(request.turns[index], UserTurn):
            return request.turns[index + 1 :]
    return request.turns


def _last_text(request: ModelRequest) -> str:
    for turn in reversed(request.turns):
        if isinstance(turn, UserTurn):
            return "".join(part.text for part in turn.content if isinstance(part, TextInput))
    return ""


def _words(turn: Turn) -> int:
    match turn:
        case UserTurn(content=content):
            return sum(len(part.text.split()) for part in content if isinstance(part, TextInput))
        case AssistantTurn(text=text, calls=calls):
            return len(text.split()) + sum(1 + len(call.arguments.split()) for call in calls)
        case ToolTurn(output=output):
            return len(output.split())


def _pieces(text: str) -> list[str]:
    return _PIECES.findall(text)


def _halves(text: str) -> list[str]:
    middle = len(text) // 2
    return [text[:middle], text[middle:]] if middle else [text]


def _code(text: str) -> Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]:
    return text if text in ("rate_limit_exceeded", "invalid_prompt") else "server_error"  # type: ignore[return-value]
