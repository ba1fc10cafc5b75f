"""Assistants: the rules (what a body becomes, and what a modification leaves), and the operations that apply them.

One rule for what is left out: absent keeps (or takes the default), ``null`` puts back to the default.

Source: createAssistant and modifyAssistant; the echoes and defaults are those of the recorded exchanges.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from holdover.store.protocol import Modification, NewObject
from holdover.wire.assistants import Assistant, AssistantDeleted, CreateAssistant, ModifyAssistant
from holdover.wire.pages import PageQuery
from holdover.wire.record import UNSET, UnsetType
from holdover.wire.tools import (
    DEFAULT_RANKER,
    AssistantTool,
    CodeInterpreterTool,
    FileSearchOptions,
    FileSearchTool,
    FunctionTool,
    RankingOptions,
    ToolResources,
)

from .core import RetryKey, encode, references_told, repeatable
from .searchable import FileChecks
from .tool_resources import merged, named_files, provide, required, settled

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


def new_assistant(body: CreateAssistant, *, id: str, created_at: int, resources: ToolResources) -> Assistant:
    """Return the assistant that a body describes, with the resources that its own have come to."""
    tools = [echoed(tool) for tool in body.tools or ()]
    fields = {name: _chosen(getattr(body, name), default) for name, default in DEFAULTS.items()}
    return Assistant(
        id=id,
        created_at=created_at,
        model=body.model,
        tools=tools,
        tool_resources=settled(tools, resources),
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
    resources = merged(assistant.tool_resources, body.tool_resources)
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


def _chosen(given: T | None | UnsetType, otherwise: T) -> Any:
    return otherwise if given is UNSET or given is None else given


class AssistantOperations(FileChecks):
    """The operations on assistants."""

    async def create_assistant(self, body: CreateAssistant, retry_key: RetryKey | None = None) -> bytes:
        """Make an assistant, and the vector store its helper describes.

        Raises:
            NotFoundError: The body names a file or a vector store that does not exist.
            BadRequestError: A file of its vector store cannot be searched, or the retry key came with another body
                before.
        """
        now = self._now()
        provided = provide(body.tool_resources, now=now, entropy=self._entropy)
        await self._check_searchable(provided.searched)
        assistant = new_assistant(body, id=self._new_id("assistant"), created_at=now, resources=provided.resources)
        document = encode(assistant)
        with references_told():
            return await self._store.create(
                [
                    *provided.made,
                    NewObject(
                        kind="assistant",
                        id=assistant.id,
                        created_at=now,
                        document=document,
                        file_ids=named_files(assistant.tool_resources),
                    ),
                ],
                reply=document,
                requires=provided.requires,
                repeatable=repeatable("create_assistant", retry_key, now),
            )

    async def get_assistant(self, assistant_id: str) -> bytes:
        """Return an assistant.

        Raises:
            NotFoundError: There is none with this id.
        """
        return await self._document("assistant", assistant_id)

    async def list_assistants(self, query: PageQuery) -> bytes:
        """Return a page of assistants.

        Raises:
            NotFoundError: A cursor is not the id of any assistant, present or deleted.
        """
        return await self._page("assistant", query)

    async def modify_assistant(self, assistant_id: str, body: ModifyAssistant) -> bytes:
        """Change an assistant.

        Raises:
            NotFoundError: There is none with this id, or the body names an object that does not exist.
        """
        requires = required(body.tool_resources)

        def change(document: bytes) -> Modification:
            assistant = modified_assistant(_decode(document), body)
            file_ids = named_files(assistant.tool_resources) if body.tool_resources is not UNSET else None
            return Modification(encode(assistant), requires, file_ids=file_ids)

        return await self._modified("assistant", assistant_id, change)

    async def delete_assistant(self, assistant_id: str) -> bytes:
        """Delete an assistant.

        Raises:
            NotFoundError: There is none with this id.
        """
        await self._deleted("assistant", assistant_id)
        return encode(AssistantDeleted(id=assistant_id))


_decode = msgspec.json.Decoder(Assistant).decode
