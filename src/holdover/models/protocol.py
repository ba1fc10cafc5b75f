"""What the engine asks of a model: a request in, chunks out.

A request is what a chat completion is asked with, whoever answers. An answer comes in batches of chunks: all that one
read from upstream brought, so that what arrives together is sent on together.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Literal, Protocol

import msgspec


class TextInput(msgspec.Struct, frozen=True):
    """A text that the model reads."""

    text: str


class ImageInput(msgspec.Struct, frozen=True):
    """An image that the model sees, by its address (also ``data:``); ``detail`` is auto, low or high."""

    url: str
    detail: str = "auto"


class CallInput(msgspec.Struct, frozen=True):
    """A call the model made; ``arguments`` is JSON as text."""

    id: str
    name: str
    arguments: str


class UserTurn(msgspec.Struct, frozen=True):
    """What a user said."""

    content: Sequence[TextInput | ImageInput]


class AssistantTurn(msgspec.Struct, frozen=True):
    """What the model said, and the calls it made."""

    text: str = ""
    calls: Sequence[CallInput] = ()


class ToolTurn(msgspec.Struct, frozen=True):
    """What a call came to."""

    call_id: str
    output: str


Turn = UserTurn | AssistantTurn | ToolTurn


class FunctionSpec(msgspec.Struct, frozen=True):
    """A function the model may call; ``parameters`` is a JSON schema."""

    name: str
    description: str | None
    parameters: dict[str, Any]
    strict: bool = False


class SchemaFormat(msgspec.Struct, frozen=True):
    """The answer must be JSON of this schema (``None``: any object)."""

    name: str = "answer"
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class ModelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is asked.

    Attributes:
        model: The name that the run gives; aliases are resolved already where this is read.
        instructions: What is said to it beforehand, or ``None``.
        tool_choice: ``"auto"``, ``"none"``, ``"required"``, or the function that must be called.
        max_completion_tokens: How much it may say at most, or ``None``.
        run_id: Whose request it is: for deterministic models, and for logs.
    """

    model: str
    turns: Sequence[Turn]
    instructions: str | None = None
    functions: Sequence[FunctionSpec] = ()
    tool_choice: Literal["auto", "none", "required"] | ForcedFunction = "auto"
    parallel_tool_calls: bool = True
    temperature: float | None = None
    top_p: float | None = None
    max_completion_tokens: int | None = None
    reasoning_effort: str | None = None
    response_format: SchemaFormat | None = None
    run_id: str = ""


class ForcedFunction(msgspec.Struct, frozen=True):
    """The function that must be called."""

    name: str


# Pieces come by the thousand and hold no cycles: the collector need not look at them (``gc=False``).


class TextChunk(msgspec.Struct, frozen=True, gc=False):
    """A piece of the answer's text."""

    text: str


class RefusalChunk(msgspec.Struct, frozen=True, gc=False):
    """A piece of the words by which the model declines."""

    text: str


class CallChunk(msgspec.Struct, frozen=True, gc=False):
    """A piece of a call: the first of each ``index`` (from 0) names it, ``arguments`` come piece by piece.

    ``id`` may be missing; the engine gives calls ids of its own form where it is.
    """

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


class FinishChunk(msgspec.Struct, frozen=True, gc=False):
    """Why the answer ends."""

    reason: Literal["stop", "length", "tool_calls", "content_filter"]


class UsageChunk(msgspec.Struct, frozen=True, gc=False):
    """Tokens that the whole answer took."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


Chunk = TextChunk | RefusalChunk | CallChunk | FinishChunk | UsageChunk

#: Takes a batch of chunks and says whether it wants the next one at once.
Sink = Callable[[Sequence[Chunk]], bool]


class ModelError(Exception):
    """A model could not answer.

    Attributes:
        code: As a run tells it: ``server_error``, ``rate_limit_exceeded`` or ``invalid_prompt``.
        message: For the run's owner; it names no key and no address of the service's own.
    """

    def __init__(
        self, message: str, *, code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"] = "server_error"
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Model(Protocol):
    """Answers requests."""

    @property
    def context_tokens(self) -> int:
        """How many tokens a request and its answer may have together."""

    def count_tokens(self, text: str) -> int:
        """Return about how many tokens a text has; never far too few."""

    def answer(self, request: ModelRequest) -> AsyncIterator[Sequence[Chunk]]:
        """Answer a request, batch by batch. Closing the iterator (``aclose``) early ends the work.

        An iterator may have a ``pour`` of its own: see `pour`.

        Raises:
            ModelError: There is no answer, or no more of it.
        """


def pour(batches: AsyncIterator[Sequence[Chunk]], sink: Sink) -> Coroutine[Any, Any, bool]:
    """Hand batches to ``sink`` as they come, until it wants no more just now; return whether more may come.

    An answer that can do so itself is asked to: then no task has to be woken for every token.

    Raises:
        ModelError: There is no answer, or no more of it.
    """
    own: Callable[[Sink], Coroutine[Any, Any, bool]] | None = getattr(batches, "pour", None)
    return own(sink) if own is not None else _pour(batches, sink)


async def _pour(batches: AsyncIterator[Sequence[Chunk]], sink: Sink) -> bool:
    async for batch in batches:
        if not sink(batch):
            return True
    return False


class Models(Protocol):
    """Knows who answers for a name."""

    def find(self, name: str) -> Model | None:
        """Return the model that answers for a name, ``None`` if nobody does."""

    def names(self) -> Sequence[str]:
        """Return the names that ``GET /models`` lists beside those of the published reference."""

    async def close(self) -> None:
        """Let go of connections and memory."""


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a text has where nobody can count: a third more than English has."""
    return len(text.encode("utf-8", "replace")) // 3 + 1
