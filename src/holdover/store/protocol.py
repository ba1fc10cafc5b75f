"""What the engine asks of a store. SQLite answers it today; the contract suite in ``tests/store`` binds every other.

A stored object is a *document*: the wire's JSON, encoded once when it is written and never decoded to be read.
Beside it stand only the columns that are searched. Every write is one transaction and is durable when it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import msgspec

from holdover.errors import BadRequestError

#: The kinds of objects that a store keeps, each in a table of its own.
Kind = Literal["assistant", "vector_store", "thread", "message"]
KINDS: tuple[Kind, ...] = ("assistant", "vector_store", "thread", "message")
#: Kinds whose objects belong to another object and are deleted with it, and the kind of that.
OWNERS: dict[Kind, Kind] = {"message": "thread"}

#: How long the answer to a request with an ``Idempotency-Key`` is remembered, in seconds.
REPLY_LIFETIME_S = 24 * 60 * 60


class NewObject(msgspec.Struct, frozen=True, kw_only=True):
    """An object to be added.

    Attributes:
        owner: The object that it belongs to, for kinds that belong to one.
        run_id: The run that made it.
        extra: JSON that is kept beside the document and never sent.
    """

    kind: Kind
    id: str
    created_at: int
    document: bytes
    owner: str | None = None
    run_id: str | None = None
    extra: bytes | None = None


class Reference(msgspec.Struct, frozen=True):
    """An object that must exist for a write to be made."""

    kind: Kind
    id: str


class Repeatable(msgspec.Struct, frozen=True, kw_only=True):
    """A request that its caller may repeat: its key, what it is for, a digest of its content, and when it came."""

    operation: str
    key: str
    fingerprint: bytes
    now: int


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Part of a list: ids and documents in the list's order."""

    ids: list[str]
    documents: list[bytes]
    has_more: bool


class MissingReference(Exception):
    """A write referred to an object that does not exist; nothing was written."""

    def __init__(self, reference: Reference) -> None:
        super().__init__(f"{reference.kind} {reference.id}")
        self.reference = reference


class UnknownCursor(Exception):
    """A list was to begin at an object that never existed."""

    def __init__(self, identifier: str) -> None:
        super().__init__(identifier)
        self.id = identifier


class Modification(msgspec.Struct, frozen=True):
    """What an object becomes, and what must exist for that."""

    document: bytes
    requires: Sequence[Reference] = ()


class Store(Protocol):
    """Remembers objects. All methods may be called from one event loop only, that which opened the store."""

    async def get(self, kind: Kind, identifier: str, *, owner: str | None = None) -> bytes | None:
        """Return an object's document, ``None`` if there is none (or none that belongs to this owner)."""

    async def page(
        self,
        kind: Kind,
        *,
        limit: int,
        ascending: bool,
        after: str | None,
        before: str | None,
        owner: str | None = None,
        run_id: str | None = None,
    ) -> Page:
        """Return up to ``limit`` objects, exactly in the order of their creation (or its reverse).

        ``after`` and ``before`` are ids, themselves left out; with ``before`` alone the objects nearest to it are
        returned. The id of a deleted object still marks its place. Of kinds with owners, those of one owner are
        listed; ``run_id`` lists only what that run made.

        Raises:
            UnknownCursor: An id is not that of any object of this kind, present or deleted.
        """

    async def create(
        self,
        objects: Sequence[NewObject],
        *,
        reply: bytes,
        requires: Sequence[Reference] = (),
        repeatable: Repeatable | None = None,
    ) -> bytes:
        """Add objects and return ``reply``; or, where the request was carried out before, what it was answered then.

        Raises:
            MissingReference: Something in ``requires`` does not exist.
            BadRequestError: The key was used for another request.
        """

    async def modify(
        self, kind: Kind, identifier: str, change: Callable[[bytes], Modification], *, owner: str | None = None
    ) -> bytes | None:
        """Put what ``change`` makes of an object's document in its place and return it; ``None`` if there is none.

        ``change`` must be quick and pure: it runs inside the transaction, perhaps more than once.

        Raises:
            MissingReference: Something that the change requires does not exist.
        """

    async def delete(self, kind: Kind, identifier: str, *, owner: str | None = None) -> bool:
        """Delete an object and all that belongs to it; return whether there was one."""

    async def close(self) -> None:
        """Finish what was begun and close the database."""


def reused_key(key: str) -> BadRequestError:
    """Return the error for an ``Idempotency-Key`` that came with two different requests."""
    return BadRequestError(
        f"The Idempotency-Key '{key}' was already used for a request with other content.",
        param="Idempotency-Key",
        code="idempotency_key_reused",
    )
