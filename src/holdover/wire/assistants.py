"""The assistant: the stored object and the bodies that create and modify it.

Source: createAssistant, modifyAssistant and AssistantObject of the published reference; the recorded exchanges of
the hosted API where the two differ.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from .record import UNSET, Metadata, Record, UnsetType
from .tools import AssistantTool, FunctionName, NewToolResources, ToolResources, Tools

Model = Annotated[str, Meta(min_length=1, max_length=256)]
Name = Annotated[str, Meta(max_length=256)]
Description = Annotated[str, Meta(max_length=512)]
Instructions = Annotated[str, Meta(max_length=256_000)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
TopP = Annotated[float, Meta(ge=0, le=1)]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class TextFormat(Record, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """Plain text."""

    type: ClassVar[Literal["text"]] = "text"


class JSONObjectFormat(Record, frozen=True, kw_only=True, tag_field="type", tag="json_object"):
    """Any JSON object; the instructions must ask for JSON as well."""

    type: ClassVar[Literal["json_object"]] = "json_object"


class JSONSchema(Record, frozen=True, kw_only=True):
    """The schema that an answer must follow."""

    _shown = ("name",)

    name: FunctionName
    description: str | None | UnsetType = UNSET
    schema: dict[str, Any] | UnsetType = UNSET
    strict: bool | None | UnsetType = UNSET


class JSONSchemaFormat(Record, frozen=True, kw_only=True, tag_field="type", tag="json_schema"):
    """JSON that follows a schema."""

    type: ClassVar[Literal["json_schema"]] = "json_schema"
    json_schema: JSONSchema


ResponseFormat = Literal["auto"] | TextFormat | JSONObjectFormat | JSONSchemaFormat


class Assistant(Record, frozen=True, kw_only=True):
    """An assistant. ``created_at`` is in Unix seconds."""

    _shown = ("id", "name", "model")

    id: str
    object: Literal["assistant"] = "assistant"
    created_at: int
    name: str | None = None
    description: str | None = None
    model: str
    instructions: str | None = None
    tools: list[AssistantTool]
    top_p: float | None = None
    temperature: float | None = None
    reasoning_effort: str | None = None
    tool_resources: ToolResources | None = None
    metadata: dict[str, str] | None = None
    response_format: ResponseFormat | None = None


class AssistantDeleted(Record, frozen=True, kw_only=True):
    """The answer to a deletion."""

    id: str
    object: Literal["assistant.deleted"] = "assistant.deleted"
    deleted: bool = True


class CreateAssistant(Record, frozen=True, kw_only=True):
    """Body of createAssistant."""

    model: Model
    name: Name | None | UnsetType = UNSET
    description: Description | None | UnsetType = UNSET
    instructions: Instructions | None | UnsetType = UNSET
    reasoning_effort: ReasoningEffort | None | UnsetType = UNSET
    tools: Tools | UnsetType = UNSET
    tool_resources: NewToolResources | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET
    temperature: Temperature | None | UnsetType = UNSET
    top_p: TopP | None | UnsetType = UNSET
    response_format: ResponseFormat | None | UnsetType = UNSET


class ModifyAssistant(Record, frozen=True, kw_only=True):
    """Body of modifyAssistant: a field left out keeps its value, ``null`` puts it back to its default."""

    model: Model | UnsetType = UNSET
    name: Name | None | UnsetType = UNSET
    description: Description | None | UnsetType = UNSET
    instructions: Instructions | None | UnsetType = UNSET
    reasoning_effort: ReasoningEffort | None | UnsetType = UNSET
    tools: Tools | UnsetType = UNSET
    tool_resources: ToolResources | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET
    temperature: Temperature | None | UnsetType = UNSET
    top_p: TopP | None | UnsetType = UNSET
    response_format: ResponseFormat | None | UnsetType = UNSET
