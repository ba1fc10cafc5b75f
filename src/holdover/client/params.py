"""Dictionaries that may stand in a call for records of the wire, as a type checker sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Required, TypedDict

from holdover.wire.assistants import JSONObjectFormat, JSONSchemaFormat, TextFormat
from holdover.wire.filters import Filter
from holdover.wire.messages import Attachment, CreateMessage, NewPart
from holdover.wire.tools import AssistantTool, NewToolResources, ToolResources
from holdover.wire.vector_stores import ChunkingStrategy


class CodeInterpreterToolParam(TypedDict):
    type: Literal["code_interpreter"]


class HybridSearchParam(TypedDict):
    embedding_weight: float
    text_weight: float


class RankingOptionsParam(TypedDict, total=False):
    ranker: Literal["auto", "default_2024_08_21"]
    score_threshold: Required[float]
    hybrid_search: HybridSearchParam | None


class FileSearchParam(TypedDict, total=False):
    max_num_results: int
    ranking_options: RankingOptionsParam


class FileSearchToolParam(TypedDict, total=False):
    type: Required[Literal["file_search"]]
    file_search: FileSearchParam


class FunctionParam(TypedDict, total=False):
    name: Required[str]
    description: str
    parameters: Mapping[str, Any]
    strict: bool | None


class FunctionToolParam(TypedDict):
    type: Literal["function"]
    function: FunctionParam


ToolParam = AssistantTool | CodeInterpreterToolParam | FileSearchToolParam | FunctionToolParam


class CodeInterpreterResourcesParam(TypedDict, total=False):
    file_ids: Sequence[str]


class FileSearchResourcesParam(TypedDict, total=False):
    vector_store_ids: Sequence[str]


class AutoChunkingParam(TypedDict):
    type: Literal["auto"]


class ChunkSizesParam(TypedDict):
    max_chunk_size_tokens: int
    chunk_overlap_tokens: int


class StaticChunkingParam(TypedDict):
    type: Literal["static"]
    static: ChunkSizesParam


class NewVectorStoreParam(TypedDict, total=False):
    file_ids: Sequence[str]
    chunking_strategy: AutoChunkingParam | StaticChunkingParam
    metadata: Mapping[str, str] | None


class ExpiryParam(TypedDict):
    anchor: Literal["last_active_at"]
    days: int


class NewFileSearchResourcesParam(TypedDict, total=False):
    vector_store_ids: Sequence[str]
    vector_stores: Sequence[NewVectorStoreParam]


class ToolResourcesParam(TypedDict, total=False):
    code_interpreter: CodeInterpreterResourcesParam
    file_search: FileSearchResourcesParam


class NewToolResourcesParam(TypedDict, total=False):
    code_interpreter: CodeInterpreterResourcesParam
    file_search: NewFileSearchResourcesParam


class TextFormatParam(TypedDict):
    type: Literal["text"]


class JSONObjectFormatParam(TypedDict):
    type: Literal["json_object"]


class JSONSchemaParam(TypedDict, total=False):
    name: Required[str]
    description: str
    schema: Mapping[str, Any]
    strict: bool | None


class JSONSchemaFormatParam(TypedDict):
    type: Literal["json_schema"]
    json_schema: JSONSchemaParam


ResponseFormatParam = (
    Literal["auto"]
    | TextFormat
    | JSONObjectFormat
    | JSONSchemaFormat
    | TextFormatParam
    | JSONObjectFormatParam
    | JSONSchemaFormatParam
)


class ImageURLParam(TypedDict, total=False):
    url: Required[str]
    detail: Literal["auto", "low", "high"]


class ImageURLPartParam(TypedDict):
    type: Literal["image_url"]
    image_url: ImageURLParam


class ImageFileParam(TypedDict, total=False):
    file_id: Required[str]
    detail: Literal["auto", "low", "high"]


class ImageFilePartParam(TypedDict):
    type: Literal["image_file"]
    image_file: ImageFileParam


class TextPartParam(TypedDict):
    type: Literal["text"]
    text: str


NewPartParam = NewPart | TextPartParam | ImageURLPartParam | ImageFilePartParam


class FileSearchToolOnlyParam(TypedDict):
    type: Literal["file_search"]


class AttachmentParam(TypedDict, total=False):
    file_id: Required[str]
    tools: Sequence[CodeInterpreterToolParam | FileSearchToolOnlyParam]


class NewMessageParam(TypedDict, total=False):
    role: Required[Literal["user", "assistant"]]
    content: Required[str | Sequence[NewPartParam]]
    attachments: Sequence[Attachment | AttachmentParam] | None
    metadata: Mapping[str, str] | None


class TruncationStrategyParam(TypedDict, total=False):
    type: Required[Literal["auto", "last_messages"]]
    last_messages: int | None


class FunctionChoiceParam(TypedDict):
    name: str


class NamedToolParam(TypedDict, total=False):
    type: Required[Literal["function", "file_search", "code_interpreter"]]
    function: FunctionChoiceParam


class ToolOutputParam(TypedDict, total=False):
    tool_call_id: Required[str]
    output: str


class NewThreadParam(TypedDict, total=False):
    messages: Sequence[CreateMessage | NewMessageParam]
    metadata: Mapping[str, str] | None
    tool_resources: NewToolResources | ToolResources | NewToolResourcesParam | None


class ExpiresAfterParam(TypedDict):
    anchor: Literal["created_at"]
    seconds: int


ChunkingParam = ChunkingStrategy | AutoChunkingParam | StaticChunkingParam


class ComparisonParam(TypedDict):
    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    key: str
    value: str | float | bool | Sequence[str | float | bool]


class CompoundParam(TypedDict):
    type: Literal["and", "or"]
    filters: Sequence[ComparisonParam | CompoundParam | Filter]


class SearchRankingParam(TypedDict, total=False):
    ranker: Literal["none", "auto", "default-2024-11-15"]
    score_threshold: float
    hybrid_search: HybridSearchParam | None


class BatchedFileParam(TypedDict, total=False):
    file_id: Required[str]
    attributes: Mapping[str, str | float | bool] | None
    chunking_strategy: ChunkingParam | None
