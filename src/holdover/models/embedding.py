"""What embedders share. An embedder turns texts into vectors of length 1: the product of two says how near they are.

What is asked of one, its user says: `holdover.tools.file_search.protocol.Embedder`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from holdover.errors import ConfigurationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


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
