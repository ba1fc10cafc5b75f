"""What all operations stand on: the store, the clock, identifiers, and the errors for ids that refer to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from holdover.errors import InternalServerError, NotFoundError
from holdover.store.protocol import (
    OWNERS,
    Kind,
    MissingReference,
    Modification,
    Page,
    Reference,
    Repeatable,
    Store,
    TooLate,
    UnknownCursor,
)
from holdover.wire import ids
from holdover.wire.files import FileQuery
from holdover.wire.pages import DEFAULT_LIMIT, PageQuery, splice_page
from holdover.wire.refusals import shortened

encode = msgspec.json.Encoder().encode


class RetryKey(msgspec.Struct, frozen=True):
    """A caller's ``Idempotency-Key`` and a digest of what came with it."""

    key: str
    fingerprint: bytes


class Core:
    """Carries out operations.

    Args:
        store: Where objects are kept.
        clock: Returns the time in Unix seconds; the store's own otherwise, which is that of its database.
        entropy: Returns that many random bytes; identifiers are made of them.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float] | None = None,
        entropy: ids.Entropy = ids.random_bytes,
    ) -> None:
        self._store = store
        self._clock = clock or store.now
        self._entropy = entropy

    def _now(self) -> int:
        return int(self._clock())

    def _new_id(self, kind: str) -> str:
        return ids.new_id(kind, self._entropy)

    async def _document(self, kind: Kind, identifier: str, *, owner: str | None = None) -> bytes:
        document = await self._store.get(kind, identifier, owner=owner)
        if document is None:
            raise await self._missing(kind, identifier, owner)
        return document

    async def _modified(
        self, kind: Kind, identifier: str, change: Callable[[bytes], Modification], *, owner: str | None = None
    ) -> bytes:
        with references_told():
            document = await self._store.modify(kind, identifier, change, owner=owner)
        if document is None:
            raise await self._missing(kind, identifier, owner)
        return document

    async def _deleted(self, kind: Kind, identifier: str, *, owner: str | None = None) -> None:
        if not await self._store.delete(kind, identifier, owner=owner):
            raise await self._missing(kind, identifier, owner)

    async def _missing(self, kind: Kind, identifier: str, owner: str | None) -> NotFoundError:
        """Return the error for an object that is not there: its owner's, where that is not there either."""
        if owner is not None:
            await self._document(OWNERS[kind], owner)
        return not_found(kind, identifier, owner)

    async def _page(
        self,
        kind: Kind,
        query: PageQuery | FileQuery,
        *,
        owner: str | None = None,
        run_id: str | None = None,
        labels: Mapping[str, str] | None = None,
        purpose: str | None = None,
        default_limit: int = DEFAULT_LIMIT,
    ) -> bytes:
        page = await self._read_page(
            kind, query, owner=owner, run_id=run_id, labels=labels, purpose=purpose, default_limit=default_limit
        )
        return splice_page(page.ids, page.documents, has_more=page.has_more)

    async def _read_page(
        self,
        kind: Kind,
        query: PageQuery | FileQuery,
        *,
        owner: str | None = None,
        default_limit: int = DEFAULT_LIMIT,
        **which: Any,
    ) -> Page:
        try:
            return await self._store.page(
                kind,
                limit=query.limit or default_limit,
                ascending=query.order == "asc",
                after=query.after or None,
                before=getattr(query, "before", None) or None,
                owner=owner,
                **which,
            )
        except UnknownCursor as unknown:
            raise not_found(kind, unknown.id, owner) from None


def repeatable(operation: str, retry_key: RetryKey | None, now: int) -> Repeatable | None:
    """Return what a store needs to know of a request that may be repeated."""
    if retry_key is None:
        return None
    return Repeatable(operation=operation, key=retry_key.key, fingerprint=retry_key.fingerprint, now=now)


def not_found(kind: str, identifier: str, owner: str | None = None) -> NotFoundError:
    """Return the hosted API's error for an id that refers to nothing."""
    shown = shortened(identifier)
    if kind == "vector_store_file":
        return NotFoundError(f"No file found with id '{shown}' in vector store '{owner}'.")
    if kind == "file":
        return NotFoundError(f"No such File object: {shown}", param="id")
    return NotFoundError(f"No {ids.NOUNS[kind]} found with id '{shown}'.")


@contextmanager
def references_told() -> Iterator[None]:
    """Turn a reference that the store misses into the hosted API's error."""
    try:
        yield
    except MissingReference as missing:
        raise not_found(missing.reference.kind, missing.reference.id) from None


@contextmanager
def deadline_kept() -> Iterator[None]:
    """Turn a deadline that is past into an error that says to come again."""
    try:
        yield
    except TooLate as late:
        raise InternalServerError("The file came too long ago; send it again.", status=503) from late


def references(file_ids: Sequence[str]) -> list[Reference]:
    """Return what must exist for files to be named."""
    return [Reference("file", each) for each in dict.fromkeys(file_ids)]
