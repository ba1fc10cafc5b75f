"""Vector stores: the stored object, and the helper that makes one together with an assistant."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from .record import UNSET, Metadata, Record, UnsetType

MAX_FILES_AT_CREATION = 10_000


class AutoChunking(Record, frozen=True, kw_only=True, tag_field="type", tag="auto"):
    """The default strategy: 800 tokens a chunk, 400 of them shared with the next."""

    type: ClassVar[Literal["auto"]] = "auto"


class ChunkSizes(Record, frozen=True, kw_only=True):
    """Sizes in tokens: 100..4096 a chunk, an overlap of at most half of it."""

    max_chunk_size_tokens: Annotated[int, Meta(ge=100, le=4096)]
    chunk_overlap_tokens: Annotated[int, Meta(ge=0)]


class StaticChunking(Record, frozen=True, kw_only=True, tag_field="type", tag="static"):
    """A strategy with the caller's own sizes."""

    type: ClassVar[Literal["static"]] = "static"
    static: ChunkSizes


ChunkingStrategy = AutoChunking | StaticChunking


class NewVectorStore(Record, frozen=True, kw_only=True):
    """A vector store to be made together with the assistant that will use it."""

    file_ids: Annotated[list[str], Meta(max_length=MAX_FILES_AT_CREATION)] | UnsetType = UNSET
    chunking_strategy: ChunkingStrategy | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET


class FileCounts(Record, frozen=True, kw_only=True):
    """How many files of a vector store are in which state."""

    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    total: int = 0


class VectorStore(Record, frozen=True, kw_only=True):
    """A vector store. Times are Unix seconds."""

    _shown = ("id", "name", "status")

    id: str
    object: Literal["vector_store"] = "vector_store"
    created_at: int
    name: str | None = None
    description: str | None = None
    usage_bytes: int = 0
    file_counts: FileCounts = FileCounts()
    status: Literal["expired", "in_progress", "completed"] = "completed"
    expires_after: None = None
    expires_at: int | None = None
    last_active_at: int | None = None
    metadata: dict[str, str] | None = None
