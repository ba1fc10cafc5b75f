"""Assistants: what a body becomes, and what a modification leaves. Pure; nothing is read or written here.

One rule for what is left out: absent keeps (or takes the default), ``null`` puts back to the default.

Source: createAssistant and modifyAssistant; the echoes and defaults are those of the recorded exchanges.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from holdover.wire.assistants import Assistant, CreateAssistant, ModifyAssistant
from holdover.wire.record import UNSET, UnsetType
from holdover.wire.tools import (
    DEFAULT_RANKER,
    AssistantTool,
    CodeInterpreterResources,
    CodeInterpreterTool,
    FileSearchOptions,
    FileSearchResources,
    FileSearchTool,
    FunctionTool,
    NewToolResources,
    RankingOptions,
    ToolResources,
)

T = TypeVar("T")

DEFAULT_TEMPERATURE = 1.0
DEFAULT_TOP_P = 1.0

#: What each field of an assistant is when nothing else is said.
DEFAULTS: dict[str, Any] = {
    "name": None,
    "description": None,
    "instructions": None,
    "top_p": DEFAULT_TOP_P,
    "temperature": DEFAULT_TEMPERATURE,
    "reasoning_effort": None,
    "metadata": {},
    "response_format": "auto",
}


def new_assistant(body: CreateAssistant, *, id: str, created_at: int, vector_store_ids: list[str]) -> Assistant:
    """Return the assistant that a body describes.

    Args:
        vector_store_ids: The stores it searches: those the body names, or the one made by its helper.
    """
    tools = [echoed(tool) for tool in body.tools or ()]
    resources = body.tool_resources or NewToolResources()
    given = ToolResources(
        code_interpreter=resources.code_interpreter,
        file_search=FileSearchResources(vector_store_ids=vector_store_ids) if vector_store_ids else UNSET,
    )
    fields = {name: _chosen(getattr(body, name), default) for name, default in DEFAULTS.items()}
    return Assistant(
        id=id,
        created_at=created_at,
        model=body.model,
        tools=tools,
        tool_resources=settled(tools, given),
        **fields,
    )


def modified_assistant(assistant: Assistant, body: ModifyAssistant) -> Assistant:
    """Return an assistant with a modification applied; fields that the body leaves out keep their values."""
    changes = {
        name: _chosen(getattr(body, name), default)
        for name, default in DEFAULTS.items()
        if getattr(body, name) is not UNSET
    }
    if body.model is not UNSET:
        changes["model"] = body.model
    tools = assistant.tools if body.tools is UNSET else [echoed(tool) for tool in body.tools]
    resources = _merged(assistant.tool_resources or ToolResources(), body.tool_resources)
    return msgspec.structs.replace(assistant, tools=tools, tool_resources=settled(tools, resources), **changes)


def echoed(tool: AssistantTool) -> AssistantTool:
    """Return a tool with its defaults filled in, as the hosted API gives it back."""
    match tool:
        case CodeInterpreterTool():
            return tool
        case FileSearchTool():
            options = tool.file_search or FileSearchOptions()
            ranking = options.ranking_options or RankingOptions(score_threshold=0.0)
            return FileSearchTool(
                file_search=FileSearchOptions(
                    max_num_results=options.max_num_results or UNSET,
                    ranking_options=RankingOptions(
                        ranker=ranking.ranker or DEFAULT_RANKER,
                        score_threshold=ranking.score_threshold,
                        hybrid_search=ranking.hybrid_search or None,
                    ),
                )
            )
        case FunctionTool():
            function = tool.function
            return FunctionTool(
                function=msgspec.structs.replace(
                    function,
                    description=UNSET if function.description is None else function.description,
                    parameters=function.parameters or {"type": "object", "properties": {}},
                    strict=bool(function.strict),
                )
            )


def settled(tools: list[AssistantTool], resources: ToolResources) -> ToolResources:
    """Return resources as they are echoed: the code interpreter's list is there whenever the tool is."""
    interpreter = resources.code_interpreter or CodeInterpreterResources()
    file_ids = interpreter.file_ids or []
    has_interpreter = any(isinstance(tool, CodeInterpreterTool) for tool in tools)
    search = resources.file_search
    return ToolResources(
        code_interpreter=CodeInterpreterResources(file_ids=file_ids) if file_ids or has_interpreter else UNSET,
        file_search=search if search and search.vector_store_ids else UNSET,
    )


def _merged(resources: ToolResources, change: ToolResources | None | UnsetType) -> ToolResources:
    """Apply a change tool by tool: each tool's resources are replaced whole, or kept when not mentioned."""
    if change is UNSET:
        return resources
    if change is None:
        return ToolResources()
    return ToolResources(
        code_interpreter=_chosen(change.code_interpreter, resources.code_interpreter, keep_null=True),
        file_search=_chosen(change.file_search, resources.file_search, keep_null=True),
    )


def _chosen(given: T | None | UnsetType, otherwise: T, *, keep_null: bool = False) -> Any:
    if given is UNSET or (given is None and not keep_null):
        return otherwise
    return given
