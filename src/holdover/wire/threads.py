"""Threads: the stored object and the bodies that create and modify it.

Source: createThread, modifyThread and ThreadObject of the published reference.
"""

from __future__ import annotations

from typing import Literal

from .messages import CreateMessage
from .pages import PageQuery
from .record import UNSET, Metadata, Record, UnsetType
from .tools import NewToolResources, ToolResources


class Thread(Record, frozen=True, kw_only=True):
    """A conversation; ``created_at`` is in Unix seconds."""

    _shown = ("id", "metadata")

    id: str
    object: Literal["thread"] = "thread"
    created_at: int
    metadata: dict[str, str] | None = None
    tool_resources: ToolResources | None = None


class ThreadDeleted(Record, frozen=True, kw_only=True):
    """The answer to a deletion."""

    id: str
    object: Literal["thread.deleted"] = "thread.deleted"
    deleted: bool = True


class CreateThread(Record, frozen=True, kw_only=True):
    """Body of createThread."""

    messages: list[CreateMessage] | UnsetType = UNSET
    tool_resources: NewToolResources | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET


class ModifyThread(Record, frozen=True, kw_only=True):
    """Body of modifyThread: a field left out keeps its value, ``null`` puts it back to its default."""

    tool_resources: ToolResources | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET


class ThreadQuery(PageQuery, frozen=True, kw_only=True):
    """Which threads are wanted: of all, or of those whose metadata has all of these pairs (``metadata[key]=value``)."""

    metadata: Metadata | UnsetType = UNSET
