"""Runs: the stored object and the bodies that create, modify and continue it.

Source: createRun, createThreadAndRun, modifyRun, submitToolOutputsToRun and RunObject of the published reference; the
order of keys, and what may be ``null``, are those of the recorded exchanges.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

from msgspec import Meta

from .assistants import Instructions, Model, ReasoningEffort, ResponseFormat, Temperature, TopP
from .messages import CreateMessage
from .record import UNSET, Metadata, Record, UnsetType
from .threads import CreateThread
from .tools import AssistantTool, FunctionName, ToolResources

MAX_RUN_TOOLS = 20

RunStatus = Literal[
    "queued",
    "in_progress",
    "requires_action",
    "cancelling",
    "cancelled",
    "failed",
    "completed",
    "incomplete",
    "expired",
]
RUN_STATUSES: tuple[RunStatus, ...] = get_args(RunStatus)
RunTools = Annotated[list[AssistantTool], Meta(max_length=MAX_RUN_TOOLS)]
#: The reference says at least 256; the hosted API took 16.
TokenLimit = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class TruncationStrategy(Record, frozen=True, kw_only=True):
    """What of a long thread the model sees: what fits, without the middle (``auto``), or the newest messages."""

    type: Literal["auto", "last_messages"]
    last_messages: Annotated[int, Meta(ge=1)] | None = None


class NewTruncationStrategy(Record, frozen=True, kw_only=True):
    """The same in a request."""

    type: Literal["auto", "last_messages"]
    last_messages: Annotated[int, Meta(ge=1)] | None | UnsetType = UNSET


class FunctionChoice(Record, frozen=True, kw_only=True):
    """The function that must be called."""

    name: FunctionName


class NamedFunction(Record, frozen=True, kw_only=True, tag_field="type", tag="function"):
    """The model must call this function."""

    type: ClassVar[Literal["function"]] = "function"
    function: FunctionChoice


class NamedFileSearch(Record, frozen=True, kw_only=True, tag_field="type", tag="file_search"):
    """The model must search files."""

    type: ClassVar[Literal["file_search"]] = "file_search"


class NamedCodeInterpreter(Record, frozen=True, kw_only=True, tag_field="type", tag="code_interpreter"):
    """The model must run code."""

    type: ClassVar[Literal["code_interpreter"]] = "code_interpreter"


ToolChoice = Literal["none", "auto", "required"] | NamedFunction | NamedFileSearch | NamedCodeInterpreter


class CachedTokens(Record, frozen=True, kw_only=True):
    """Of the prompt's tokens, how many the model had at hand."""

    cached_tokens: int = 0


class ReasoningTokens(Record, frozen=True, kw_only=True):
    """Of the answer's tokens, how many were spent on reasoning."""

    reasoning_tokens: int = 0


class Usage(Record, frozen=True, kw_only=True):
    """Tokens used. ``prompt_token_details`` is spelt as the hosted API spelt it."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_token_details: CachedTokens | None = None
    completion_tokens_details: ReasoningTokens | None = None


class CalledFunction(Record, frozen=True, kw_only=True):
    """A function the model wants called; ``arguments`` is JSON as text, and not certain to be valid."""

    name: str
    arguments: str


class RequiredToolCall(Record, frozen=True, kw_only=True):
    """A call whose output the run waits for."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class RequiredToolCalls(Record, frozen=True, kw_only=True):
    """The calls whose outputs must be submitted together."""

    tool_calls: list[RequiredToolCall]


class RequiredAction(Record, frozen=True, kw_only=True):
    """What the application must do for the run to go on."""

    type: Literal["submit_tool_outputs"] = "submit_tool_outputs"
    submit_tool_outputs: RequiredToolCalls


class RunError(Record, frozen=True, kw_only=True):
    """Why a run failed."""

    code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
    message: str


class IncompleteRunDetails(Record, frozen=True, kw_only=True):
    """Why a run is incomplete."""

    reason: Literal["max_completion_tokens", "max_prompt_tokens", "content_filter"]


class Run(Record, frozen=True, kw_only=True):
    """An assistant at work on a thread; times are in Unix seconds."""

    _shown = ("id", "status", "model")

    id: str
    object: Literal["thread.run"] = "thread.run"
    created_at: int
    assistant_id: str
    thread_id: str
    status: RunStatus
    started_at: int | None = None
    expires_at: int | None = None
    cancelled_at: int | None = None
    failed_at: int | None = None
    completed_at: int | None = None
    required_action: RequiredAction | None = None
    last_error: RunError | None = None
    model: str
    instructions: str | None = None
    tools: list[AssistantTool]
    tool_resources: ToolResources | None = None
    metadata: dict[str, str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    reasoning_effort: str | None = None
    max_completion_tokens: int | None = None
    max_prompt_tokens: int | None = None
    truncation_strategy: TruncationStrategy | None = None
    incomplete_details: IncompleteRunDetails | None = None
    usage: Usage | None = None
    response_format: ResponseFormat | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | UnsetType = UNSET

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended and will not change any more."""
        return self.status in ("cancelled", "failed", "completed", "incomplete", "expired")


class _RunOverrides(Record, frozen=True, kw_only=True):
    model: Model | None | UnsetType = UNSET
    instructions: Instructions | None | UnsetType = UNSET
    tools: RunTools | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET
    temperature: Temperature | None | UnsetType = UNSET
    top_p: TopP | None | UnsetType = UNSET
    max_prompt_tokens: TokenLimit | None | UnsetType = UNSET
    max_completion_tokens: TokenLimit | None | UnsetType = UNSET
    truncation_strategy: NewTruncationStrategy | None | UnsetType = UNSET
    tool_choice: ToolChoice | None | UnsetType = UNSET
    parallel_tool_calls: bool | None | UnsetType = UNSET
    response_format: ResponseFormat | None | UnsetType = UNSET
    stream: bool | None | UnsetType = UNSET


class CreateRun(_RunOverrides, frozen=True, kw_only=True):
    """Body of createRun: what is left out, or ``null``, is the assistant's."""

    assistant_id: str
    additional_instructions: Instructions | None | UnsetType = UNSET
    additional_messages: list[CreateMessage] | None | UnsetType = UNSET
    reasoning_effort: ReasoningEffort | None | UnsetType = UNSET


class CreateThreadAndRun(_RunOverrides, frozen=True, kw_only=True):
    """Body of createThreadAndRun; ``tool_resources`` are the new thread's where it has none of its own."""

    assistant_id: str
    thread: CreateThread | UnsetType = UNSET
    tool_resources: ToolResources | None | UnsetType = UNSET
    reasoning_effort: ReasoningEffort | None | UnsetType = UNSET


class ModifyRun(Record, frozen=True, kw_only=True):
    """Body of modifyRun: only metadata can be changed."""

    metadata: Metadata | None | UnsetType = UNSET


class CancelRun(Record, frozen=True, kw_only=True):
    """Body of cancelRun, which says nothing."""


class ToolOutput(Record, frozen=True, kw_only=True):
    """What a call came to."""

    tool_call_id: str
    output: str | UnsetType = UNSET


class SubmitToolOutputs(Record, frozen=True, kw_only=True):
    """Body of submitToolOutputsToRun: the outputs of all calls that the run waits for."""

    tool_outputs: list[ToolOutput]
    stream: bool | None | UnsetType = UNSET


class RunEventsQuery(Record, frozen=True, kw_only=True):
    """Which events of a run are wanted: those behind the one of this number, as ``Last-Event-ID`` says it, too."""

    last_event_id: Annotated[int, Meta(ge=0, le=2**53 - 1)] | UnsetType = UNSET


def is_streamed(body: Any) -> bool:
    """Whether a body asks for events instead of an object."""
    return getattr(body, "stream", UNSET) is True
