"""What tools work on, for assistants and threads alike: how it is given, merged, made and echoed."""

from __future__ import annotations

from typing import Any

import msgspec

from holdover.store.protocol import NewObject, Reference
from holdover.wire import ids
from holdover.wire.record import UNSET, UnsetType
from holdover.wire.tools import (
    AssistantTool,
    CodeInterpreterResources,
    CodeInterpreterTool,
    FileSearchResources,
    NewToolResources,
    ToolResources,
)
from holdover.wire.vector_stores import NewVectorStore, VectorStoreExpiresAfter

from .core import encode, references
from .vector_stores import named, new_files, new_vector_store

#: Vector stores that a thread or a message made go so long after they were last used.
OF_THREADS = VectorStoreExpiresAfter(anchor="last_active_at", days=7)


class Provided(msgspec.Struct, frozen=True, kw_only=True):
    """What a body's ``tool_resources`` come to: themselves, what is to be made, and what must exist.

    ``searched`` are files that must be such as can be searched.
    """

    resources: ToolResources
    made: list[NewObject]
    requires: list[Reference]
    searched: list[str]


def provide(
    given: NewToolResources | None | UnsetType,
    *,
    now: int,
    entropy: ids.Entropy,
    expires_after: VectorStoreExpiresAfter | None = None,
) -> Provided:
    """Return what the ``tool_resources`` of a creation come to."""
    given = given or NewToolResources()
    search = given.file_search or None
    stores = search.vector_stores or () if search else ()
    searched = [each for store in stores for each in store.file_ids or ()]
    made = [
        each
        for store in stores
        for each in made_vector_store(store, now=now, entropy=entropy, expires_after=expires_after)
    ]
    store_ids = list(search.vector_store_ids or ()) if search else []
    chosen = store_ids or [each.id for each in made if each.kind == "vector_store"]
    return Provided(
        resources=ToolResources(
            code_interpreter=given.code_interpreter,
            file_search=FileSearchResources(vector_store_ids=chosen) if chosen else UNSET,
        ),
        made=made,
        requires=[
            *references([*file_ids_of(given.code_interpreter), *searched]),
            *(Reference("vector_store", each) for each in store_ids),
        ],
        searched=searched,
    )


def required(change: ToolResources | None | UnsetType) -> list[Reference]:
    """Return what the ``tool_resources`` of a modification need to exist."""
    if not change:
        return []
    search = change.file_search
    stores = [Reference("vector_store", each) for each in (search.vector_store_ids or () if search else ())]
    return [*references(file_ids_of(change.code_interpreter)), *stores]


def merged(resources: ToolResources | None, change: ToolResources | None | UnsetType) -> ToolResources:
    """Apply a change tool by tool: each tool's resources are replaced whole, or kept when not mentioned."""
    resources = resources or ToolResources()
    if change is UNSET:
        return resources
    if change is None:
        return ToolResources()
    return ToolResources(
        code_interpreter=_kept(change.code_interpreter, resources.code_interpreter),
        file_search=_kept(change.file_search, resources.file_search),
    )


def settled(tools: list[AssistantTool], resources: ToolResources) -> ToolResources:
    """Return resources as they are echoed: the code interpreter's list is there whenever the tool is."""
    file_ids = file_ids_of(resources.code_interpreter)
    has_interpreter = any(isinstance(tool, CodeInterpreterTool) for tool in tools)
    search = resources.file_search
    return ToolResources(
        code_interpreter=CodeInterpreterResources(file_ids=file_ids) if file_ids or has_interpreter else UNSET,
        file_search=search if search and search.vector_store_ids else UNSET,
    )


def named_files(resources: ToolResources | None) -> list[str]:
    """Return the files that the code interpreter works on: taken out of the list when they are deleted."""
    return file_ids_of(resources.code_interpreter) if resources else []


def file_ids_of(interpreter: CodeInterpreterResources | None | UnsetType) -> list[str]:
    """Return the files in the code interpreter's list."""
    return list(interpreter.file_ids or ()) if interpreter else []


def _kept(given: Any, otherwise: Any) -> Any:
    return otherwise if given is UNSET else given


def made_vector_store(
    body: NewVectorStore, *, now: int, entropy: ids.Entropy, expires_after: VectorStoreExpiresAfter | None
) -> list[NewObject]:
    """Return the vector store that a helper describes, and its files, to be indexed."""
    store_id = ids.new_vector_store_id(now, entropy)
    store = new_vector_store(body, id=store_id, created_at=now, expires_after=expires_after)
    made = NewObject(kind="vector_store", id=store_id, created_at=now, document=encode(store))
    files = named(body.file_ids or (), body.chunking_strategy)
    return [made, *new_files(files, store_id=store_id, created_at=now)]
