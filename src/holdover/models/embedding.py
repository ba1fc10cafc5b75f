"""What is asked of an embedder, and what all of them share.

An embedder turns texts into vectors of length 1, so that the product of two says how near their meanings are. The rooms
that use one say themselves what they need of it (`holdover.tools.file_search.protocol.Embedder`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from holdover.errors import ConfigurationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Turns texts into vectors.

    Attributes:
        identity: Names model and version. Vectors of two identities cannot be compared.
        max_tokens: How much of a text counts at most, in tokens of OpenAI's; what goes beyond is not seen.
    """

    @property
    def identity(self) -> str: ...
    @property
    def max_tokens(self) -> int: ...

    async def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Return a vector for each text, float32 of shape ``(len(texts), dimensions)``, each of length 1 (or 0).

        Raises:
            EmbeddingError: It could not be done.
        """

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """The same for questions, which do not wait for passages."""

    async def close(self) -> None:
        """Let go of what it holds."""


class EmbeddingError(Exception):
    """Texts could not be embedded; the message can be shown."""


def read_checked(path: Path, sha256: str) -> bytes:
    """Return a file's bytes if they are the ones that were tested here.

    Raises:
        ConfigurationError: They are others, or cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ConfigurationError(f"{path} is not the file it should be: its SHA-256 is not {sha256}.")
    return content


def normalized(vectors: Vectors) -> Vectors:
    """Return vectors of length 1, in place; one of length 0 stays as it is."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.divide(vectors, lengths, out=vectors, where=lengths > 0)
    return vectors
