"""What the engine asks of file search, and what file search asks of a store.

`Indexer` turns a file into text and chunks, `Searcher` finds chunks. Neither writes anything: what an indexer
returns is written by whoever asked, in the transaction that completes the file.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from .failures import Unreadable as Unreadable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

Attributes = Mapping[str, str | float | bool]
#: Says whether a file with these attributes is to be searched.
Accepts = Callable[[Attributes], bool]

#: Endings of the names of files that can be read; `Indexer.index` refuses others, too, but late.
ENDINGS = frozenset(
    (
        *(".c", ".cpp", ".cs", ".css", ".csv", ".docx", ".go", ".html", ".java", ".js", ".json"),
        *(".md", ".pdf", ".php", ".pptx", ".py", ".rb", ".sh", ".tex", ".ts", ".txt", ".xlsx"),
    )
)

#: An indexer's identity without an embedder: files are found by their words only.
WORDS_ONLY = "none"

#: The wire's defaults for the size of chunks and how much of one the next repeats.
MAX_CHUNK_SIZE_TOKENS = 800
CHUNK_OVERLAP_TOKENS = 400


class Chunk(msgspec.Struct, frozen=True):
    """A piece of a file's text.

    Attributes:
        start, end: Where it stands, in code points; ``text`` is exactly that part of the file's text.
        tokens: How many it has.
        vector: Its embedding, little-endian float16, of length 1; empty before it is made.
    """

    text: str
    start: int
    end: int
    tokens: int
    vector: bytes = b""


class Indexed(msgspec.Struct, frozen=True):
    """What became of a file: all of its text, its chunks, and how many bytes they take in a store."""

    text: str
    chunks: list[Chunk]
    usage_bytes: int


class Indexer(Protocol):
    """Turns files into chunks."""

    @property
    def identity(self) -> str:
        """Who makes the vectors. Those of another cannot be compared with them: its files are to be indexed again."""

    async def index(
        self,
        path: str,
        file_name: str,
        *,
        max_chunk_size_tokens: int,
        chunk_overlap_tokens: int,
        on_text: Callable[[Indexed], Awaitable[None]] | None = None,
    ) -> Indexed:
        """Read a file, cut its text into chunks and embed them.

        Args:
            path: Where its bytes are; its name there says nothing.
            file_name: What its owner calls it; the ending says what it is meant to be.
            on_text: Told of the chunks when they have no vectors yet, which may take minutes to make.

        Raises:
            Unreadable: It cannot be indexed, and why. With ``server_error``, it may be tried again.
        """

    async def close(self) -> None:
        """End what works for it."""


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk that was found.

    Attributes:
        score: How well it fits, 0..1 (``docs/explanation/ranking.md``).
        start, end: Where it stands in the text of its file, in code points.
    """

    store_id: str
    file_id: str
    file_name: str
    attributes: Attributes
    score: float
    text: str
    start: int
    end: int


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """How chunks are ranked.

    Attributes:
        score_threshold: The least score, 0..1.
        embedding_weight, text_weight: Of the ranking by meaning and of that by words; at least 0, one above 0.
        ranker: The wire's name: ``"none"`` leaves out the reranker, if there is one.
    """

    score_threshold: float = 0.0
    embedding_weight: float = 1.0
    text_weight: float = 1.0
    ranker: str = "auto"


class Searcher(Protocol):
    """Finds chunks."""

    async def search(
        self,
        store_ids: Sequence[str],
        queries: Sequence[str],
        *,
        limit: int,
        ranking: Ranking,
        accepts: Accepts | None = None,
    ) -> list[Hit]:
        """Return up to ``limit`` chunks of files in these vector stores that fit any of the queries, the best first.

        Files that ``accepts`` refuses are left out before anything is ranked.

        Raises:
            InternalServerError: The queries could not be embedded, or the database refused.
        """


# ------------------------------------------------------------------------------- what is asked of others


class Embedder(Protocol):
    """Turns texts into vectors.

    Attributes:
        identity: Names model and version. Vectors of two identities cannot be compared.
        max_tokens: How much of a text counts at most, in tokens; what goes beyond is not seen.
    """

    @property
    def identity(self) -> str: ...
    @property
    def max_tokens(self) -> int: ...

    async def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Return a vector for each text, float32 of shape ``(texts, dimensions)``, each of length 1 (or 0).

        Raises:
            InternalServerError: It could not be done. The message can be shown.
        """

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """The same for questions, which do not wait for passages."""

    async def close(self) -> None:
        """Let go of what it holds."""


class Reranker(Protocol):
    """Looks at a question and passages together, and says how well they fit."""

    async def rerank(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        """Return how well each passage answers, 0..1.

        Raises:
            InternalServerError: It could not be done.
        """

    async def close(self) -> None:
        """Let go of what it holds."""


class IndexedFile(Protocol):
    """A file whose chunks can be searched. Another indexing of it has another number."""

    @property
    def indexed(self) -> int: ...
    @property
    def file_id(self) -> str: ...
    @property
    def file_name(self) -> str: ...
    @property
    def attributes(self) -> Attributes: ...
    @property
    def embedder(self) -> str: ...
    @property
    def is_placed(self) -> bool: ...


class FileVectors(Protocol):
    """The vectors of a file, little-endian float16 one after another; its chunks are numbered on from the first."""

    @property
    def indexed(self) -> int: ...
    @property
    def first_chunk(self) -> int: ...
    @property
    def vectors(self) -> bytes: ...


class Passage(Protocol):
    """A chunk as it was read."""

    @property
    def chunk(self) -> int: ...
    @property
    def indexed(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


class ChunkStore(Protocol):
    """The part of a store that is searched; `holdover.store.protocol.Store` has it."""

    async def indexed_files(self, store_id: str) -> Sequence[IndexedFile]: ...

    async def load_vectors(self, indexed: Sequence[int]) -> Sequence[FileVectors]: ...

    async def match_words(
        self, store_id: str, text: str, *, limit: int, indexed: Sequence[int] | None = None
    ) -> Sequence[tuple[int, float]]: ...

    async def nearest(
        self, vector: Sequence[float], *, limit: int, indexed: Sequence[int]
    ) -> Sequence[tuple[int, float]]: ...

    async def cosines(
        self, vector: Sequence[float], numbers: Sequence[int], *, indexed: Sequence[int]
    ) -> Sequence[tuple[int, float]]: ...

    async def passages(self, chunks: Sequence[int]) -> Sequence[Passage]: ...
