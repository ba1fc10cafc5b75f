"""Messages: the rules and the operations.

Source: createMessage, modifyMessage and MessageObject; defaults and echoes are those of the recorded exchanges.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from holdover.errors import BadRequestError
from holdover.store.protocol import Modification, NewObject, Reference, ThreadBusy
from holdover.wire.messages import (
    CreateMessage,
    ImageFilePart,
    ImageURLPart,
    Message,
    MessageDeleted,
    MessageQuery,
    ModifiedMessage,
    ModifyMessage,
    NewPart,
    NewTextPart,
    Part,
    TextContent,
    TextPart,
)
from holdover.wire.record import UNSET

from .attachments import AttachmentChecks
from .core import RetryKey, encode, references, references_told, repeatable


def new_message(body: CreateMessage, *, id: str, thread_id: str, created_at: int) -> Message:
    """Return the message that a body describes, complete as soon as it is made.

    Raises:
        BadRequestError: It says nothing.
    """
    parts = [NewTextPart(text=body.content)] if isinstance(body.content, str) else body.content
    if not any(isinstance(part, ImageFilePart | ImageURLPart) or part.text for part in parts):
        raise BadRequestError("Message content must be non-empty.", param="content")
    return Message(
        id=id,
        created_at=created_at,
        thread_id=thread_id,
        status="completed",
        completed_at=created_at,
        role=body.role,
        content=[_echoed(part) for part in parts],
        attachments=body.attachments or [],
        metadata=body.metadata or {},
    )


def new_messages(bodies: list[CreateMessage], *, ids: list[str], thread_id: str, created_at: int) -> list[NewObject]:
    """Return the messages that a thread begins with, in their order.

    Raises:
        BadRequestError: One of them says nothing.
    """
    messages = [
        new_message(body, id=id, thread_id=thread_id, created_at=created_at)
        for body, id in zip(bodies, ids, strict=True)
    ]
    return [stored_message(message) for message in messages]


def files_of(bodies: Sequence[CreateMessage]) -> list[Reference]:
    """Return the files that messages name, which must exist."""
    images = [
        part.image_file.file_id
        for body in bodies
        if not isinstance(body.content, str)
        for part in body.content
        if isinstance(part, ImageFilePart)
    ]
    return references([*images, *(each.file_id for body in bodies for each in body.attachments or ())])


def stored_message(message: Message) -> NewObject:
    """Return a message as the store takes it."""
    return NewObject(
        kind="message",
        id=message.id,
        created_at=message.created_at,
        document=encode(message),
        owner=message.thread_id,
        run_id=message.run_id,
    )


def _echoed(part: NewPart) -> Part:
    """Return a part as it is given back: with its defaults filled in."""
    match part:
        case NewTextPart():
            return TextPart(text=TextContent(value=part.text, annotations=[]))
        case ImageFilePart():
            image_file = msgspec.structs.replace(part.image_file, detail=part.image_file.detail or "auto")
            return ImageFilePart(image_file=image_file)
        case ImageURLPart():
            image_url = msgspec.structs.replace(part.image_url, detail=part.image_url.detail or "auto")
            return ImageURLPart(image_url=image_url)


class MessageOperations(AttachmentChecks):
    """The operations on messages."""

    async def create_message(self, thread_id: str, body: CreateMessage, retry_key: RetryKey | None = None) -> bytes:
        """Add a message to a thread.

        Raises:
            NotFoundError: There is no such thread, or the body names a file that does not exist.
            BadRequestError: The message says nothing, a file cannot be searched, a run is active on the thread, or the
                retry key came with another body before.
        """
        now = self._now()
        message = stored_message(new_message(body, id=self._new_id("message"), thread_id=thread_id, created_at=now))
        try:
            with references_told():
                return await self._store.create(
                    [message],
                    reply=message.document,
                    requires=[Reference("thread", thread_id), *files_of([body])],
                    repeatable=repeatable(f"create_message {thread_id}", retry_key, now),
                    idle_thread=thread_id,
                    on_thread=await self._equipping(thread_id, [body], now),
                )
        except ThreadBusy as busy:
            raise BadRequestError(f"Can't add messages to {thread_id} while a run {busy.run_id} is active.") from None

    async def get_message(self, thread_id: str, message_id: str) -> bytes:
        """Return a message.

        Raises:
            NotFoundError: There is none with this id in this thread.
        """
        return await self._document("message", message_id, owner=thread_id)

    async def list_messages(self, thread_id: str, query: MessageQuery) -> bytes:
        """Return a page of a thread's messages, all or those of one run.

        Raises:
            NotFoundError: There is no such thread, or a cursor is not the id of any message of it.
        """
        await self._document("thread", thread_id)
        return await self._page("message", query, owner=thread_id, run_id=query.run_id or None)

    async def modify_message(self, thread_id: str, message_id: str, body: ModifyMessage) -> bytes:
        """Change a message's metadata.

        Raises:
            NotFoundError: There is none with this id in this thread.
        """

        def change(document: bytes) -> Modification:
            message = _decode(document)
            if body.metadata is not UNSET:
                message = msgspec.structs.replace(message, metadata=body.metadata or {})
            return Modification(encode(message))

        changed = await self._modified("message", message_id, change, owner=thread_id)
        # The answer to a modification had a key of the first version; it is sent beside that of the second.
        return encode(_decode_modified(changed))

    async def delete_message(self, thread_id: str, message_id: str) -> bytes:
        """Delete a message.

        Raises:
            NotFoundError: There is none with this id in this thread.
        """
        await self._deleted("message", message_id, owner=thread_id)
        return encode(MessageDeleted(id=message_id))


_decode = msgspec.json.Decoder(Message).decode
_decode_modified = msgspec.json.Decoder(ModifiedMessage).decode
