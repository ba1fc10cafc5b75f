"""Threads: the rules and the operations.

Source: createThread, modifyThread and ThreadObject; defaults and echoes are those of the recorded exchanges.
"""

from __future__ import annotations

import msgspec

from holdover.store.protocol import Modification, NewObject, Reference
from holdover.wire.record import UNSET
from holdover.wire.threads import CreateThread, ModifyThread, Thread, ThreadDeleted, ThreadQuery
from holdover.wire.tools import ToolResources

from .attachments import AttachmentChecks, attached, equipped
from .core import RetryKey, encode, references_told, repeatable
from .messages import files_of, new_messages
from .searchable import store_ids_of
from .tool_resources import OF_THREADS, merged, named_files, provide, required, settled

#: How a thread without resources ends when it is made or changed, and how it ends when it is read: the recordings
#: show an empty list of the code interpreter only then.
_WITHOUT_RESOURCES = b'"tool_resources":{}}'
_READ_WITHOUT_RESOURCES = b'"tool_resources":{"code_interpreter":{"file_ids":[]}}}'


def new_thread(body: CreateThread, *, id: str, created_at: int, resources: ToolResources) -> Thread:
    """Return the thread that a body describes, with the resources that its own have come to."""
    return Thread(id=id, created_at=created_at, metadata=body.metadata or {}, tool_resources=settled([], resources))


def modified_thread(thread: Thread, body: ModifyThread) -> Thread:
    """Return a thread with a modification applied; fields that the body leaves out keep their values."""
    return msgspec.structs.replace(
        thread,
        metadata=thread.metadata if body.metadata is UNSET else body.metadata or {},
        tool_resources=settled([], merged(thread.tool_resources, body.tool_resources)),
    )


def as_read(document: bytes) -> bytes:
    """Return a thread's document as reading it gives it."""
    if document.endswith(_WITHOUT_RESOURCES):
        return document.removesuffix(_WITHOUT_RESOURCES) + _READ_WITHOUT_RESOURCES
    return document


class NewThread(msgspec.Struct, frozen=True):
    """A thread that is to be stored: its document, all objects that are made with it, and what must exist."""

    id: str
    document: bytes
    objects: list[NewObject]
    requires: list[Reference]


class ThreadOperations(AttachmentChecks):
    """The operations on threads."""

    async def create_thread(self, body: CreateThread, retry_key: RetryKey | None = None) -> bytes:
        """Make a thread, its first messages, and the vector store its helper describes.

        Raises:
            NotFoundError: The body names a file or a vector store that does not exist.
            BadRequestError: A message says nothing, or the retry key came with another body before.
        """
        now = self._now()
        made = await self._new_thread(body, now)
        with references_told():
            return await self._store.create(
                made.objects,
                reply=made.document,
                requires=made.requires,
                repeatable=repeatable("create_thread", retry_key, now),
            )

    async def _new_thread(self, body: CreateThread, now: int) -> NewThread:
        """Return a thread and all that is made with it.

        Raises:
            NotFoundError: A file does not exist that is to be searched, or the vector store that it is to be added to.
            BadRequestError: A message says nothing, or a file cannot be searched.
        """
        provided = provide(body.tool_resources, now=now, entropy=self._entropy, expires_after=OF_THREADS)
        bodies = body.messages or []
        files = attached(bodies)
        await self._check_searchable(provided.searched)
        await self._check_searchable(files.searched, "attachments")
        if files.searched and not provided.made:
            for each in store_ids_of(provided.resources):
                await self._live(each)
        resources, added = equipped(provided.resources, files, now=now, entropy=self._entropy)
        thread = new_thread(body, id=self._new_id("thread"), created_at=now, resources=resources)
        document = encode(thread)
        messages = new_messages(
            bodies, ids=[self._new_id("message") for _ in bodies], thread_id=thread.id, created_at=now
        )
        stored = NewObject(
            kind="thread",
            id=thread.id,
            created_at=now,
            document=document,
            labels=thread.metadata or None,
            file_ids=named_files(thread.tool_resources),
        )
        requires = [*provided.requires, *files_of(bodies)]
        return NewThread(thread.id, document, [*provided.made, *added, stored, *messages], requires)

    async def get_thread(self, thread_id: str) -> bytes:
        """Return a thread.

        Raises:
            NotFoundError: There is none with this id.
        """
        return as_read(await self._document("thread", thread_id))

    async def list_threads(self, query: ThreadQuery) -> bytes:
        """Return a page of threads: of all, or of those whose metadata has all pairs that are asked for.

        Raises:
            NotFoundError: A cursor is not the id of any thread, present or deleted.
        """
        return await self._page("thread", query, labels=query.metadata or None)

    async def modify_thread(self, thread_id: str, body: ModifyThread) -> bytes:
        """Change a thread.

        Raises:
            NotFoundError: There is none with this id, or the body names an object that does not exist.
        """
        requires = required(body.tool_resources)

        def change(document: bytes) -> Modification:
            thread = modified_thread(_decode(document), body)
            file_ids = named_files(thread.tool_resources) if body.tool_resources is not UNSET else None
            return Modification(encode(thread), requires, thread.metadata or {}, file_ids)

        return await self._modified("thread", thread_id, change)

    async def delete_thread(self, thread_id: str) -> bytes:
        """Delete a thread and its messages.

        Raises:
            NotFoundError: There is none with this id.
        """
        await self._deleted("thread", thread_id)
        return encode(ThreadDeleted(id=thread_id))


_decode = msgspec.json.Decoder(Thread).decode
