"""The options of every call, declared once for the sync client, the async client and the module's functions.

A type checker knows an option that does not exist; so does the call itself (`UnknownOptionError`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict

from holdover.wire.assistants import ReasoningEffort
from holdover.wire.files import ExpiresAfter
from holdover.wire.filters import Filter
from holdover.wire.messages import Attachment, CreateMessage
from holdover.wire.models import KnownModel
from holdover.wire.runs import ToolChoice, TruncationStrategy
from holdover.wire.threads import CreateThread
from holdover.wire.tools import NewToolResources, ToolResources
from holdover.wire.vector_stores import (
    CreateVectorStoreFile,
    FileStatus,
    SearchRanking,
    VectorStore,
    VectorStoreExpiresAfter,
)

from .params import (
    AttachmentParam,
    BatchedFileParam,
    ChunkingParam,
    ComparisonParam,
    CompoundParam,
    ExpiresAfterParam,
    ExpiryParam,
    NamedToolParam,
    NewMessageParam,
    NewThreadParam,
    NewToolResourcesParam,
    ResponseFormatParam,
    SearchRankingParam,
    ToolParam,
    ToolResourcesParam,
    TruncationStrategyParam,
)
from .streams import Receiver
from .uploading import Progress

#: A known model, completed by editors, or any other name.
Model = KnownModel | str


class CallOptions(TypedDict, total=False):
    """Options of every call; they beat the client's settings."""

    openai_api_key: str | None
    openai_organization_key: str | None
    base_url: str | None
    timeout_s: float | None


class StreamedCallOptions(CallOptions, total=False):
    """The same, and a receiver for what is returned."""

    stream_to: Receiver | None


class PageOptions(StreamedCallOptions, total=False):
    """Which part of a list is wanted."""

    after: str | None
    before: str | None
    limit: int | None
    order: Literal["asc", "desc"] | None


class _AssistantOptions(StreamedCallOptions, total=False):
    description: str | None
    instructions: str | None
    metadata: Mapping[str, str] | None
    name: str | None
    reasoning_effort: ReasoningEffort | None
    response_format: ResponseFormatParam | None
    temperature: float | None
    tools: Sequence[ToolParam]
    top_p: float | None


class CreateAssistantOptions(_AssistantOptions, total=False):
    """Options of ``create_assistant``."""

    tool_resources: NewToolResources | ToolResources | NewToolResourcesParam | None


class ModifyAssistantOptions(_AssistantOptions, total=False):
    """Options of ``modify_assistant``."""

    model: Model
    tool_resources: ToolResources | ToolResourcesParam | None


class CreateThreadOptions(StreamedCallOptions, total=False):
    """Options of ``create_thread``."""

    messages: Sequence[CreateMessage | NewMessageParam]
    metadata: Mapping[str, str] | None
    tool_resources: NewToolResources | ToolResources | NewToolResourcesParam | None


class ThreadPageOptions(PageOptions, total=False):
    """Which threads are wanted."""

    metadata: Mapping[str, str] | None


class ModifyThreadOptions(StreamedCallOptions, total=False):
    """Options of ``modify_thread``."""

    metadata: Mapping[str, str] | None
    tool_resources: ToolResources | ToolResourcesParam | None


class CreateMessageOptions(StreamedCallOptions, total=False):
    """Options of ``create_message``."""

    attachments: Sequence[Attachment | AttachmentParam] | None
    metadata: Mapping[str, str] | None


class ModifyMessageOptions(StreamedCallOptions, total=False):
    """Options of ``modify_message``."""

    metadata: Mapping[str, str] | None


class MessagePageOptions(PageOptions, total=False):
    """Which messages of a thread are wanted."""

    run_id: str | None


#: Python functions that answer a model's calls: by name, or in a list; then each one's own name is meant.
Functions = Mapping[str, Callable[..., Any]] | Sequence[Callable[..., Any]]
#: What becomes of what a function raises.
OnFunctionError = Literal["tell", "raise"]


class FunctionOptions(TypedDict, total=False):
    """Who answers the calls that a run waits for."""

    functions: Functions | None
    on_function_error: OnFunctionError
    max_rounds: int


class EventOptions(StreamedCallOptions, FunctionOptions, total=False):
    """What becomes of a run's events."""

    background: bool


class StreamRunOptions(CallOptions, FunctionOptions, total=False):
    """Options of ``stream_run``."""

    background: bool
    last_event_id: int | None


class _Overrides(TypedDict, total=False):
    include: Sequence[Literal["step_details.tool_calls[*].file_search.results[*].content"]] | None
    instructions: str | None
    max_completion_tokens: int | None
    max_prompt_tokens: int | None
    metadata: Mapping[str, str] | None
    model: Model | None
    parallel_tool_calls: bool | None
    reasoning_effort: ReasoningEffort | None
    response_format: ResponseFormatParam | None
    temperature: float | None
    tool_choice: Literal["none", "auto", "required"] | NamedToolParam | ToolChoice | None
    tools: Sequence[ToolParam] | None
    top_p: float | None
    truncation_strategy: TruncationStrategy | TruncationStrategyParam | None


class _RunOptions(_Overrides, total=False):
    additional_instructions: str | None
    additional_messages: Sequence[CreateMessage | NewMessageParam] | None


class CreateRunOptions(_RunOptions, EventOptions, total=False):
    """Options of ``create_run``."""


class CreateThreadAndRunOptions(_Overrides, EventOptions, total=False):
    """Options of ``create_thread_and_run``."""

    thread: CreateThread | NewThreadParam
    tool_resources: ToolResources | ToolResourcesParam | None


class SubmitToolOutputsOptions(EventOptions, total=False):
    """Options of ``submit_tool_outputs_to_run``."""

    include: Sequence[Literal["step_details.tool_calls[*].file_search.results[*].content"]] | None


class WaitOptions(CallOptions, FunctionOptions, total=False):
    """Options of ``wait_for_run``."""

    poll_interval_s: float | None


class RunAndWaitOptions(_RunOptions, WaitOptions, total=False):
    """Options of ``run_and_wait``."""


class ModifyRunOptions(StreamedCallOptions, total=False):
    """Options of ``modify_run``."""

    metadata: Mapping[str, str] | None


class StepPageOptions(PageOptions, total=False):
    """Which steps of a run are wanted, and what beside them."""

    include: Sequence[Literal["step_details.tool_calls[*].file_search.results[*].content"]] | None


class IncludeOptions(StreamedCallOptions, total=False):
    """What is wanted beside a step."""

    include: Sequence[Literal["step_details.tool_calls[*].file_search.results[*].content"]] | None


class _FormOptions(StreamedCallOptions, total=False):
    filename: str | None
    on_progress: Progress | None


class CreateFileOptions(_FormOptions, total=False):
    """Options of `create_file`."""

    expires_after: ExpiresAfter | ExpiresAfterParam


class AddUploadPartOptions(_FormOptions, total=False):
    """Options of `add_upload_part`."""


class FilePageOptions(StreamedCallOptions, total=False):
    """Which part of the list of files is wanted."""

    after: str | None
    limit: int | None
    order: Literal["asc", "desc"] | None
    purpose: str | None


class CreateUploadOptions(StreamedCallOptions, total=False):
    """Options of `create_upload`."""

    expires_after: ExpiresAfter | ExpiresAfterParam


class CompleteUploadOptions(StreamedCallOptions, total=False):
    """Options of `complete_upload`."""

    md5: str | None


class UploadInPartsOptions(CallOptions, total=False):
    """Options of `upload_in_parts`."""

    filename: str | None
    mime_type: str | None
    part_bytes: int | None
    md5: str | None
    expires_after: ExpiresAfter | ExpiresAfterParam
    on_progress: Progress | None


class WaitForFileOptions(CallOptions, total=False):
    """Options of `wait_for_file`."""

    poll_interval_s: float | None


class SaveFileOptions(CallOptions, total=False):
    """Options of `save_file`."""

    on_progress: Progress | None


class CreateVectorStoreOptions(StreamedCallOptions, total=False):
    """Options of ``create_vector_store``."""

    chunking_strategy: ChunkingParam | None
    description: str | None
    expires_after: VectorStoreExpiresAfter | ExpiryParam | None
    file_ids: Sequence[str] | None
    metadata: Mapping[str, str] | None
    name: str | None


class ModifyVectorStoreOptions(StreamedCallOptions, total=False):
    """Options of ``modify_vector_store``."""

    expires_after: VectorStoreExpiresAfter | ExpiryParam | None
    metadata: Mapping[str, str] | None
    name: str | None


class SearchVectorStoreOptions(StreamedCallOptions, total=False):
    """Options of ``search_vector_store``."""

    filters: Filter | ComparisonParam | CompoundParam | None
    max_num_results: int
    ranking_options: SearchRanking | SearchRankingParam | None
    rewrite_query: bool


class CreateVectorStoreFileOptions(StreamedCallOptions, total=False):
    """Options of ``create_vector_store_file``."""

    attributes: Mapping[str, str | float | bool] | None
    chunking_strategy: ChunkingParam | None


class CreateFileBatchOptions(CreateVectorStoreFileOptions, total=False):
    """Options of ``create_vector_store_file_batch``."""

    file_ids: Sequence[str]
    files: Sequence[CreateVectorStoreFile | BatchedFileParam]


class VectorStoreFilePageOptions(PageOptions, total=False):
    """Which files of a vector store are wanted."""

    filter: FileStatus | None


class WaitForVectorStoreOptions(CallOptions, total=False):
    """Options of ``wait_for_vector_store``."""

    on_progress: Callable[[VectorStore], object] | None
    poll_interval_s: float | None
