"""The operations on stored objects: rules first, then one transaction.

Every method is one row of the table of operations and returns the encoded answer: documents are stored as they are
sent, so that reading one is a look-up and nothing else.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import msgspec

from holdover.errors import NotFoundError
from holdover.store.protocol import (
    Kind,
    MissingReference,
    Modification,
    NewObject,
    Reference,
    Repeatable,
    Store,
    UnknownCursor,
)
from holdover.wire import ids
from holdover.wire import models as model_records
from holdover.wire.assistants import Assistant, AssistantDeleted, CreateAssistant, ModifyAssistant
from holdover.wire.pages import DEFAULT_LIMIT, PageQuery, splice_page
from holdover.wire.refusals import shortened
from holdover.wire.tools import CodeInterpreterResources
from holdover.wire.vector_stores import NewVectorStore

from . import models
from .assistants import modified_assistant, new_assistant
from .vector_stores import kept_aside, new_vector_store

_encode = msgspec.json.Encoder().encode
_decode_assistant = msgspec.json.Decoder(Assistant).decode


class RetryKey(msgspec.Struct, frozen=True):
    """A caller's ``Idempotency-Key`` and a digest of what came with it."""

    key: str
    fingerprint: bytes


class Engine:
    """Carries out operations.

    Args:
        store: Where objects are kept.
        clock: Returns the time in Unix seconds.
        entropy: Returns that many random bytes; identifiers are made of them.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        entropy: ids.Entropy = os.urandom,
    ) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy

    # Assistants

    async def create_assistant(self, body: CreateAssistant, retry_key: RetryKey | None = None) -> bytes:
        """Make an assistant, and the vector store its helper describes.

        Raises:
            NotFoundError: The body names a file or a vector store that does not exist.
            BadRequestError: The retry key came with another body before.
        """
        now = int(self._clock())
        resources = body.tool_resources or None
        search = resources.file_search if resources else None
        if resources and isinstance(resources.code_interpreter, CodeInterpreterResources):
            _refuse_files(resources.code_interpreter.file_ids or [])
        made = [self._vector_store(each, now) for each in (search.vector_stores or [] if search else [])]
        named = list(search.vector_store_ids or []) if search else []
        assistant = new_assistant(
            body,
            id=ids.new_id("assistant", self._entropy),
            created_at=now,
            vector_store_ids=named or [each.id for each in made],
        )
        document = _encode(assistant)
        objects = [*made, NewObject(kind="assistant", id=assistant.id, created_at=now, document=document)]
        repeatable = None if retry_key is None else _repeatable("create_assistant", retry_key, now)
        try:
            return await self._store.create(
                objects, reply=document, requires=_vector_stores(named), repeatable=repeatable
            )
        except MissingReference as missing:
            raise not_found(missing.reference.kind, missing.reference.id) from None

    async def get_assistant(self, assistant_id: str) -> bytes:
        """Return an assistant.

        Raises:
            NotFoundError: There is none with this id.
        """
        document = await self._store.get("assistant", assistant_id)
        if document is None:
            raise not_found("assistant", assistant_id)
        return document

    async def list_assistants(self, query: PageQuery) -> bytes:
        """Return a page of assistants.

        Raises:
            NotFoundError: A cursor is not the id of any assistant, present or deleted.
        """
        return await self._page("assistant", query)

    async def modify_assistant(self, assistant_id: str, body: ModifyAssistant) -> bytes:
        """Change an assistant.

        Raises:
            NotFoundError: There is none with this id, or the body names an object that does not exist.
        """
        resources = body.tool_resources or None
        if resources and isinstance(resources.code_interpreter, CodeInterpreterResources):
            _refuse_files(resources.code_interpreter.file_ids or [])
        search = resources.file_search if resources else None
        requires = _vector_stores(list(search.vector_store_ids or []) if search else [])

        def change(document: bytes) -> Modification:
            return Modification(_encode(modified_assistant(_decode_assistant(document), body)), requires)

        try:
            changed = await self._store.modify("assistant", assistant_id, change)
        except MissingReference as missing:
            raise not_found(missing.reference.kind, missing.reference.id) from None
        if changed is None:
            raise not_found("assistant", assistant_id)
        return changed

    async def delete_assistant(self, assistant_id: str) -> bytes:
        """Delete an assistant.

        Raises:
            NotFoundError: There is none with this id.
        """
        if not await self._store.delete("assistant", assistant_id):
            raise not_found("assistant", assistant_id)
        return _encode(AssistantDeleted(id=assistant_id))

    # Models

    async def list_models(self) -> bytes:
        """Return all models."""
        return _encode(models.list_models())

    async def retrieve_model(self, model: str) -> bytes:
        """Return a model.

        Raises:
            NotFoundError: No model has this name.
        """
        return _encode(models.retrieve_model(model))

    async def delete_model(self, model: str) -> bytes:
        """Refuse to delete a model: there are no fine-tuned ones here.

        Raises:
            NotFoundError: No model has this name.
            PermissionDeniedError: It is not a fine-tuned model.
        """
        models.refuse_deletion(model)
        return _encode(model_records.ModelDeleted(id=model))

    # Shared

    def _vector_store(self, body: NewVectorStore, now: int) -> NewObject:
        _refuse_files(body.file_ids or [])
        made = new_vector_store(body, id=ids.new_vector_store_id(now, self._entropy), created_at=now)
        return NewObject(
            kind="vector_store", id=made.id, created_at=now, document=_encode(made), extra=kept_aside(body)
        )

    async def _page(self, kind: Kind, query: PageQuery) -> bytes:
        try:
            page = await self._store.page(
                kind,
                limit=query.limit or DEFAULT_LIMIT,
                ascending=query.order == "asc",
                after=query.after or None,
                before=query.before or None,
            )
        except UnknownCursor as unknown:
            raise not_found(kind, unknown.id) from None
        return splice_page(page.ids, page.documents, has_more=page.has_more)


def not_found(kind: str, identifier: str) -> NotFoundError:
    """Return the hosted API's error for an id that refers to nothing."""
    shown = shortened(identifier)
    if kind == "file":
        return NotFoundError(f"No such File object: {shown}", param="id")
    return NotFoundError(f"No {ids.NOUNS[kind]} found with id '{shown}'.")


def _repeatable(operation: str, retry_key: RetryKey, now: int) -> Repeatable:
    return Repeatable(operation=operation, key=retry_key.key, fingerprint=retry_key.fingerprint, now=now)


def _refuse_files(file_ids: list[str]) -> None:
    # Files cannot be uploaded yet, so every id of one refers to nothing.
    for each in file_ids:
        raise not_found("file", each)


def _vector_stores(identifiers: list[str]) -> list[Reference]:
    return [Reference("vector_store", each) for each in identifiers]
