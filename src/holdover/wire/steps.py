"""Run steps: what a run did, one after the other.

Source: RunStepObject and its parts; ``expires_at`` is from the recorded exchanges, ``expired_at`` and ``metadata`` from
the published reference: both are sent.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from .pages import PageQuery
from .record import UNSET, Record, UnsetType
from .runs import RunError, Usage

StepStatus = Literal["in_progress", "cancelled", "failed", "completed", "expired"]

#: What may be asked for beside a step: the text of what file search found.
FILE_SEARCH_CONTENT = "step_details.tool_calls[*].file_search.results[*].content"
Include = list[Literal["step_details.tool_calls[*].file_search.results[*].content"]]


class CreatedMessage(Record, frozen=True, kw_only=True):
    """The message that a step wrote."""

    message_id: str


class MessageCreation(Record, frozen=True, kw_only=True, tag_field="type", tag="message_creation"):
    """The step wrote a message."""

    type: ClassVar[Literal["message_creation"]] = "message_creation"
    message_creation: CreatedMessage


class FunctionCallDetails(Record, frozen=True, kw_only=True):
    """A function, the arguments the model gave, and what the application answered; ``None`` until then."""

    name: str
    arguments: str
    output: str | None = None


class FunctionCall(Record, frozen=True, kw_only=True, tag_field="type", tag="function"):
    """A call of one of the application's functions."""

    type: ClassVar[Literal["function"]] = "function"
    id: str
    function: FunctionCallDetails


class CodeLogs(Record, frozen=True, kw_only=True, tag_field="type", tag="logs"):
    """What the code printed."""

    type: ClassVar[Literal["logs"]] = "logs"
    logs: str


class CodeImageFile(Record, frozen=True, kw_only=True):
    """The file of an image."""

    file_id: str


class CodeImage(Record, frozen=True, kw_only=True, tag_field="type", tag="image"):
    """An image that the code drew."""

    type: ClassVar[Literal["image"]] = "image"
    image: CodeImageFile


CodeOutput = CodeLogs | CodeImage


class CodeInterpreterCallDetails(Record, frozen=True, kw_only=True):
    """The code and what came of it."""

    input: str
    outputs: list[CodeOutput]


class CodeInterpreterCall(Record, frozen=True, kw_only=True, tag_field="type", tag="code_interpreter"):
    """A piece of code that was run."""

    type: ClassVar[Literal["code_interpreter"]] = "code_interpreter"
    id: str
    code_interpreter: CodeInterpreterCallDetails


class FileSearchRanking(Record, frozen=True, kw_only=True):
    """How results were ranked."""

    ranker: str
    score_threshold: float


class FileSearchResultContent(Record, frozen=True, kw_only=True):
    """A passage that was found."""

    type: Literal["text"] = "text"
    text: str


class FileSearchResult(Record, frozen=True, kw_only=True):
    """A file that was found, and how well it fits (0..1); its passages are there where they were asked for."""

    file_id: str
    file_name: str
    score: Annotated[float, Meta(ge=0, le=1)]
    attributes: dict[str, str | float | bool] | UnsetType = UNSET
    content: list[FileSearchResultContent] | UnsetType = UNSET


class FileSearchCallDetails(Record, frozen=True, kw_only=True):
    """How was searched, and what was found."""

    ranking_options: FileSearchRanking | UnsetType = UNSET
    results: list[FileSearchResult] | UnsetType = UNSET


class FileSearchCall(Record, frozen=True, kw_only=True, tag_field="type", tag="file_search"):
    """A search in the files of the vector stores."""

    type: ClassVar[Literal["file_search"]] = "file_search"
    id: str
    file_search: FileSearchCallDetails


ToolCall = FunctionCall | CodeInterpreterCall | FileSearchCall


class ToolCalls(Record, frozen=True, kw_only=True, tag_field="type", tag="tool_calls"):
    """The step called tools."""

    type: ClassVar[Literal["tool_calls"]] = "tool_calls"
    tool_calls: list[ToolCall]


StepDetails = MessageCreation | ToolCalls


class RunStep(Record, frozen=True, kw_only=True):
    """One step of a run; times are in Unix seconds."""

    _shown = ("id", "type", "status")

    id: str
    object: Literal["thread.run.step"] = "thread.run.step"
    created_at: int
    run_id: str
    assistant_id: str
    thread_id: str
    type: Literal["message_creation", "tool_calls"]
    status: StepStatus
    cancelled_at: int | None = None
    completed_at: int | None = None
    expires_at: int | None = None
    expired_at: int | None = None
    failed_at: int | None = None
    last_error: RunError | None = None
    step_details: StepDetails
    usage: Usage | None = None
    metadata: dict[str, str] | None = None


class IncludeQuery(Record, frozen=True, kw_only=True):
    """What is wanted beside the object itself."""

    include: Include | UnsetType = UNSET


class StepPageQuery(PageQuery, frozen=True, kw_only=True):
    """Which steps of a run are wanted, and what beside them."""

    include: Include | UnsetType = UNSET
