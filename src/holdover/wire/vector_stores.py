"""Vector stores, files in them, and batches of these: the stored objects, and the bodies that create and change them.

Source: the reference's operations on vector stores; the recorded exchanges of the hosted API where the two differ. Of a
batch's list its entries have no ``chunking_strategy`` and no ``attributes``, as recorded.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from .filters import Filter
from .pages import PageQuery
from .record import METADATA_KEY_CHARS, METADATA_PAIRS, METADATA_VALUE_CHARS, UNSET, Metadata, Record, UnsetType

MAX_FILES_OF_A_HELPER = 10_000
MAX_FILES_AT_CREATION = 500
MAX_FILES_OF_A_BATCH = 2_000
MAX_RESULTS = 50
DEFAULT_RESULTS = 10
#: Of one search; the reference states no limits.
MAX_QUERIES = 64
MAX_QUERY_CHARS = 32_768

DAY_S = 86_400


# ------------------------------------------------------------------------------------------- how files are cut


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

#: What ``auto`` is echoed as.
DEFAULT_CHUNKING = StaticChunking(static=ChunkSizes(max_chunk_size_tokens=800, chunk_overlap_tokens=400))


# ------------------------------------------------------------------------------------------------- the stores


class NewVectorStore(Record, frozen=True, kw_only=True):
    """A vector store to be made together with the assistant or thread that will use it."""

    file_ids: Annotated[list[str], Meta(max_length=MAX_FILES_OF_A_HELPER)] | UnsetType = UNSET
    chunking_strategy: ChunkingStrategy | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET


class VectorStoreExpiresAfter(Record, frozen=True, kw_only=True):
    """When a vector store expires: so many days (1..365) after it was last active."""

    anchor: Literal["last_active_at"]
    days: Annotated[int, Meta(ge=1, le=365)]


class FileCounts(Record, frozen=True, kw_only=True):
    """How many files are in which state."""

    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    total: int = 0


class VectorStore(Record, frozen=True, kw_only=True):
    """A vector store; times are Unix seconds."""

    _shown = ("id", "name", "status")

    id: str
    object: Literal["vector_store"] = "vector_store"
    created_at: int
    name: str | None = None
    description: str | None = None
    usage_bytes: int = 0
    file_counts: FileCounts = FileCounts()
    status: Literal["expired", "in_progress", "completed"] = "completed"
    expires_after: VectorStoreExpiresAfter | None = None
    expires_at: int | None = None
    last_active_at: int | None = None
    metadata: dict[str, str] | None = None


class VectorStoreDeleted(Record, frozen=True, kw_only=True):
    """The answer to a deletion."""

    id: str
    object: Literal["vector_store.deleted"] = "vector_store.deleted"
    deleted: bool = True


class CreateVectorStore(Record, frozen=True, kw_only=True):
    """Body of createVectorStore."""

    file_ids: Annotated[list[str], Meta(max_length=MAX_FILES_AT_CREATION)] | None | UnsetType = UNSET
    name: str | None | UnsetType = UNSET
    description: str | None | UnsetType = UNSET
    expires_after: VectorStoreExpiresAfter | None | UnsetType = UNSET
    chunking_strategy: ChunkingStrategy | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET


class ModifyVectorStore(Record, frozen=True, kw_only=True):
    """Body of modifyVectorStore: a field left out keeps its value, ``null`` puts it back to its default."""

    name: str | None | UnsetType = UNSET
    expires_after: VectorStoreExpiresAfter | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET


# ------------------------------------------------------------------------------------------------- their files

#: A number of a file's attributes: what every database and every reader of JSON can hold.
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

#: Up to 16 pairs: keys of up to 64 characters; values are strings of up to 512, numbers or booleans.
Attributes = Annotated[
    dict[
        Annotated[str, Meta(max_length=METADATA_KEY_CHARS)],
        Annotated[str, Meta(max_length=METADATA_VALUE_CHARS)] | bool | Integer | float,
    ],
    Meta(max_length=METADATA_PAIRS),
]

FileStatus = Literal["in_progress", "completed", "cancelled", "failed"]


class FileError(Record, frozen=True, kw_only=True):
    """Why a file could not be indexed."""

    code: Literal["server_error", "unsupported_file", "invalid_file"]
    message: str


class VectorStoreFile(Record, frozen=True, kw_only=True):
    """A file of a vector store; its id is the file's own, and its ``chunking_strategy`` is told in sizes."""

    _shown = ("id", "vector_store_id", "status")

    id: str
    object: Literal["vector_store.file"] = "vector_store.file"
    usage_bytes: int = 0
    created_at: int
    vector_store_id: str
    status: FileStatus
    last_error: FileError | None = None
    chunking_strategy: StaticChunking | UnsetType = UNSET
    attributes: dict[str, str | bool | int | float] | None | UnsetType = UNSET


class VectorStoreFileDeleted(Record, frozen=True, kw_only=True):
    """The answer to a removal; the file itself stays."""

    id: str
    object: Literal["vector_store.file.deleted"] = "vector_store.file.deleted"
    deleted: bool = True


class CreateVectorStoreFile(Record, frozen=True, kw_only=True):
    """Body of createVectorStoreFile, and an entry of a batch."""

    file_id: str
    chunking_strategy: ChunkingStrategy | None | UnsetType = UNSET
    attributes: Attributes | None | UnsetType = UNSET


class UpdateVectorStoreFileAttributes(Record, frozen=True, kw_only=True):
    """Body of updateVectorStoreFileAttributes: all pairs are replaced; ``null`` takes them away."""

    attributes: Attributes | None


class VectorStoreFileQuery(PageQuery, frozen=True, kw_only=True):
    """Which files are wanted: all, or those in one state."""

    filter: FileStatus | UnsetType = UNSET


class FileContentPart(Record, frozen=True, kw_only=True):
    """Text that was read from a file."""

    type: Literal["text"] = "text"
    text: str


class VectorStoreFileContent(Record, frozen=True, kw_only=True):
    """All text that was read from a file; there is one page of it."""

    object: Literal["vector_store.file_content.page"] = "vector_store.file_content.page"
    data: list[FileContentPart]
    has_more: bool = False
    next_page: str | None = None


# ----------------------------------------------------------------------------------------------------- batches


class FileBatch(Record, frozen=True, kw_only=True):
    """Files that were added to a vector store together; the reference has another ``object``, this is as recorded."""

    _shown = ("id", "vector_store_id", "status")

    id: str
    object: Literal["vector_store.file_batch"] = "vector_store.file_batch"
    created_at: int
    status: FileStatus = "in_progress"
    vector_store_id: str
    file_counts: FileCounts = FileCounts()


class CreateFileBatch(Record, frozen=True, kw_only=True):
    """Body of createVectorStoreFileBatch: ``file_ids``, or ``files`` where they differ in more than the id."""

    file_ids: Annotated[list[str], Meta(min_length=1, max_length=MAX_FILES_OF_A_BATCH)] | UnsetType = UNSET
    files: Annotated[list[CreateVectorStoreFile], Meta(min_length=1, max_length=MAX_FILES_OF_A_BATCH)] | UnsetType = (
        UNSET
    )
    chunking_strategy: ChunkingStrategy | None | UnsetType = UNSET
    attributes: Attributes | None | UnsetType = UNSET


class CancelFileBatch(Record, frozen=True, kw_only=True):
    """Body of cancelVectorStoreFileBatch, which has nothing in it."""


# ------------------------------------------------------------------------------------------------------ search


class HybridSearch(Record, frozen=True, kw_only=True):
    """Weights of the two rankings that file search merges; both at least 0."""

    embedding_weight: Annotated[float, Meta(ge=0)]
    text_weight: Annotated[float, Meta(ge=0)]


class SearchRanking(Record, frozen=True, kw_only=True):
    """How a search ranks: the ranker (``none`` does not rank again), and the least score (0..1) of a result."""

    ranker: Literal["none", "auto", "default-2024-11-15"] | UnsetType = UNSET
    score_threshold: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    hybrid_search: HybridSearch | None | UnsetType = UNSET


QueryText = Annotated[str, Meta(min_length=1, max_length=MAX_QUERY_CHARS)]


class SearchVectorStore(Record, frozen=True, kw_only=True):
    """Body of searchVectorStore; ``rewrite_query`` is taken, and the query is used as it is."""

    query: QueryText | Annotated[list[QueryText], Meta(min_length=1, max_length=MAX_QUERIES)]
    rewrite_query: bool | UnsetType = UNSET
    max_num_results: Annotated[int, Meta(ge=1, le=MAX_RESULTS)] | UnsetType = UNSET
    filters: Filter | None | UnsetType = UNSET
    ranking_options: SearchRanking | None | UnsetType = UNSET


class SearchResult(Record, frozen=True, kw_only=True):
    """A passage that was found; ``score`` is 0..1."""

    _shown = ("file_id", "score")

    file_id: str
    filename: str
    score: float
    attributes: dict[str, str | bool | int | float] | None
    content: list[FileContentPart]


class SearchResults(Record, frozen=True, kw_only=True):
    """What a search found, the best first; there is one page of it."""

    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str]
    data: list[SearchResult]
    has_more: bool = False
    next_page: str | None = None
