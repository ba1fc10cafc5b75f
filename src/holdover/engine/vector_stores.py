"""Vector stores that are made together with an assistant. Pure."""

from __future__ import annotations

import msgspec

from holdover.wire.vector_stores import NewVectorStore, VectorStore


def new_vector_store(body: NewVectorStore, *, id: str, created_at: int) -> VectorStore:
    """Return the vector store that a helper describes; it has no files and so is ready at once."""
    return VectorStore(id=id, created_at=created_at, last_active_at=created_at, metadata=body.metadata or {})


def kept_aside(body: NewVectorStore) -> bytes | None:
    """Return what a helper says that the store's own object does not show, to be kept beside it."""
    if not body.chunking_strategy:
        return None
    return msgspec.json.encode({"chunking_strategy": body.chunking_strategy})
