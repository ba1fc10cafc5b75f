"""Vectors of vector stores, kept at hand so that a search need not read them: a cache with a budget.

The truth is in the database. A store's matrix is brought up to date by the numbers of its indexings: new ones are
loaded, gone ones dropped; so several processes need no word of each other's changes. A search looks at all vectors of a
store: that is exact, can be filtered before it is ranked, and takes 14 ms of 100,000. A store that is larger than the
budget is read for every search, part by part: slow, and still exact.

Files that the store has placed in an index of its own are not here: it is asked for their nearest chunks.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import msgspec

from .protocol import ChunkStore, FileVectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Files whose vectors are asked for at once.
PORTION = 1000


class Matrix(msgspec.Struct, frozen=True):
    """Vectors of chunks.

    Attributes:
        vectors: float32 of shape ``(chunks, dimensions)``, each row of length 1.
        chunks: int64 of shape ``(chunks,)``: their numbers, ascending, as those of later indexings are greater.
        indexed: int64 of shape ``(chunks,)``: the indexings that they are of.
    """

    vectors: NDArray[np.float32]
    chunks: NDArray[np.int64]
    indexed: NDArray[np.int64]

    @property
    def bytes(self) -> int:
        return self.vectors.nbytes + self.chunks.nbytes + self.indexed.nbytes

    def nearest(
        self, query: NDArray[np.float32], limit: int, indexed: NDArray[np.int64] | None = None
    ) -> list[tuple[int, float]]:
        """Return the chunks nearest to a vector, the nearest first, with the cosines.

        Args:
            indexed: Indexings that count, in ascending order; all otherwise.
        """
        import numpy as np

        if not len(self.chunks) or query.shape[0] != self.vectors.shape[1]:
            return []
        cosines = self.vectors @ query
        if indexed is not None:
            cosines[~_is_in(self.indexed, indexed)] = -np.inf
        places = np.argpartition(cosines, max(0, len(cosines) - limit))[-limit:]
        places = places[np.lexsort((self.chunks[places], -cosines[places]))]
        return [(int(self.chunks[at]), float(cosines[at])) for at in places if cosines[at] > -np.inf]

    def cosines(self, query: NDArray[np.float32], chunks: Sequence[int]) -> dict[int, float]:
        """Return the cosines of chunks, by number, as far as they are here."""
        import numpy as np

        if not len(self.chunks) or query.shape[0] != self.vectors.shape[1]:
            return {}
        wanted = np.asarray(chunks, np.int64)
        places = np.searchsorted(self.chunks, wanted)
        places[places == len(self.chunks)] = 0
        places = places[self.chunks[places] == wanted]
        found = self.vectors[places] @ query
        return {int(self.chunks[at]): float(cosine) for at, cosine in zip(places, found, strict=True)}


class VectorCache:
    """Matrices of vector stores, the last used ones, as many as fit.

    Args:
        limit_bytes: What they may take together.
    """

    def __init__(self, store: ChunkStore, limit_bytes: int) -> None:
        self._store = store
        self._limit_bytes = limit_bytes
        #: By store, the last used one last, with the indexings that it was last brought up to.
        self._matrices: OrderedDict[str, tuple[Sequence[int], Matrix]] = OrderedDict()
        # One that nobody holds is forgotten.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def bytes(self) -> int:
        """What the matrices take."""
        return sum(matrix.bytes for _, matrix in self._matrices.values())

    async def matrices(self, store_id: str, indexed: Sequence[int], dimensions: int) -> AsyncIterator[Matrix]:
        """Yield the vectors of these indexings of a vector store: in one matrix if they fit, in parts otherwise.

        Args:
            indexed: All that can be searched in this store, in ascending order.
        """
        async with self._locks.setdefault(store_id, asyncio.Lock()):
            whole = await self._update(store_id, indexed, dimensions)
        if whole is not None:
            yield whole
            return
        for at in range(0, len(indexed), PORTION):
            yield await self._load(indexed[at : at + PORTION], dimensions)

    async def _update(self, store_id: str, indexed: Sequence[int], dimensions: int) -> Matrix | None:
        """Bring a matrix up to date and return it; ``None`` if it is too large."""
        import numpy as np

        had, matrix = self._matrices.pop(store_id, ((), None))
        if matrix is not None and had == indexed and matrix.vectors.shape[1] == dimensions:
            self._matrices[store_id] = had, matrix
            return matrix
        wanted = np.asarray(indexed, np.int64)
        parts: list[Matrix] = []
        if matrix is not None and matrix.vectors.shape[1] == dimensions:
            stays = _is_in(matrix.indexed, wanted)
            if not stays.all():
                matrix = Matrix(matrix.vectors[stays], matrix.chunks[stays], matrix.indexed[stays])
            parts.append(matrix)
        # A file without chunks has no row here and is asked for again: there are few.
        have = np.unique(parts[0].indexed) if parts else np.zeros(0, np.int64)
        new = wanted[~_is_in(wanted, have)].tolist()
        for at in range(0, len(new), PORTION):
            parts.append(await self._load(new[at : at + PORTION], dimensions))
            if sum(part.bytes for part in parts) > self._limit_bytes:
                return None
        if not parts:
            return _matrix([], dimensions)
        matrix = parts[0] if len(parts) == 1 else await asyncio.to_thread(_joined, parts)
        self._matrices[store_id] = indexed, matrix
        while self.bytes > self._limit_bytes:
            self._matrices.popitem(last=False)
        return matrix

    async def _load(self, indexed: Sequence[int], dimensions: int) -> Matrix:
        return await asyncio.to_thread(_matrix, await self._store.load_vectors(indexed), dimensions)


def _matrix(files: Sequence[FileVectors], dimensions: int) -> Matrix:
    """Return the vectors of files as the database has them; of those of another length, none."""
    import numpy as np

    files = [each for each in files if len(each.vectors) % (2 * dimensions) == 0]
    vectors = np.frombuffer(b"".join(each.vectors for each in files), "<f2").reshape(-1, dimensions)
    counts = [len(each.vectors) // (2 * dimensions) for each in files]
    places = [np.arange(each.first_chunk, each.first_chunk + count) for each, count in zip(files, counts, strict=True)]
    return Matrix(
        vectors.astype(np.float32),
        np.concatenate([np.zeros(0, np.int64), *places]),
        np.repeat(np.asarray([each.indexed for each in files], np.int64), counts),
    )


def _joined(parts: Sequence[Matrix]) -> Matrix:
    import numpy as np

    return Matrix(
        np.concatenate([each.vectors for each in parts]),
        np.concatenate([each.chunks for each in parts]),
        np.concatenate([each.indexed for each in parts]),
    )


def _is_in(values: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which values are among some that are in ascending order."""
    import numpy as np

    if not len(wanted):
        return np.zeros(len(values), np.bool_)
    places = np.searchsorted(wanted, values)
    places[places == len(wanted)] = 0
    return np.asarray(wanted[places] == values)
