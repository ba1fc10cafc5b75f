"""Messages, as methods of both clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Unpack

from holdover.wire.messages import Message, MessageDeleted, ModifiedMessage, Role
from holdover.wire.pages import ListPage

from .calls import call
from .core import AsyncCore, Core, same_docstring
from .exchange import Call
from .options import CallOptions, CreateMessageOptions, MessagePageOptions, ModifyMessageOptions
from .pages import AsyncPage, Page
from .params import NewPartParam


class MessageMethods(Core):
    """Methods of `Client`."""

    def create_message(
        self,
        thread_id: str,
        role: Role,
        content: str | Sequence[NewPartParam],
        **options: Unpack[CreateMessageOptions],
    ) -> Message:
        """Add a message to a thread.

        Endpoint: ``POST /threads/{thread_id}/messages``

        Args:
            thread_id: The thread's id.
            role: ``"user"`` or ``"assistant"``.
            content: A text of up to 256,000 characters, or parts: ``text``, ``image_url``, ``image_file``.
            attachments: Files, and the tools that each is for.
            metadata: Up to 16 pairs of strings: keys up to 64 characters, values up to 512.
            stream_to: Also receives the message: a function or a queue (`holdover.Data`, then `holdover.Finish`).
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            The message. A call that is repeated after trouble makes one message only.

        Raises:
            NotFoundError: There is no such thread, or a file that is named does not exist.
            BadRequestError: The message says nothing, or an option is outside its limits.
            APIConnectionError: No answer came.

        Source: createMessage.
        """
        return self._streamed(options, lambda rest: self._run(_create(thread_id, role, content, rest)))

    def get_message(self, thread_id: str, message_id: str, **options: Unpack[CallOptions]) -> Message:
        """Retrieve a message.

        Endpoint: ``GET /threads/{thread_id}/messages/{message_id}``

        Args:
            thread_id: The thread's id.
            message_id: The message's id.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no such thread, or no such message in it.
            BadRequestError: An id is of another kind; the message says of what.
            APIConnectionError: No answer came.

        Source: getMessage.
        """
        return self._run(call("get_message", thread_id, message_id, reply=Message, options=options))

    def list_messages(self, thread_id: str, **options: Unpack[MessagePageOptions]) -> Page[Message]:
        """Return a list of a thread's messages, newest first.

        Endpoint: ``GET /threads/{thread_id}/messages``

        Args:
            thread_id: The thread's id.
            run_id: Only the messages that this run made.
            after: The id of a message; the page begins behind it.
            before: The id of a message; the page ends in front of it.
            limit: How many a page has at most: 1..100 (20).
            order: By creation: ``"asc"`` or ``"desc"`` (``desc``).
            stream_to: Also receives every message of this page and all that follow.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            A page; iterating it goes on through all pages, as with `list_assistants`.

        Raises:
            NotFoundError: There is no such thread, or a cursor is not the id of any message of it.
            BadRequestError: An option is outside its limits.
            APIConnectionError: No answer came.

        Source: listMessages.
        """
        return self._streamed_pages(options, partial(self._page_of_messages, thread_id))

    def modify_message(
        self, thread_id: str, message_id: str, **options: Unpack[ModifyMessageOptions]
    ) -> ModifiedMessage:
        """Modify a message's metadata.

        Endpoint: ``POST /threads/{thread_id}/messages/{message_id}``

        Args:
            thread_id: The thread's id.
            message_id: The message's id.
            metadata: Replaces all pairs.
            stream_to: Also receives the message.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no such thread, or no such message in it.
            BadRequestError: An option is outside its limits; refused before anything is sent.
            APIConnectionError: No answer came.

        Source: modifyMessage.
        """
        return self._streamed(options, lambda rest: self._run(_modify(thread_id, message_id, rest)))

    def delete_message(self, thread_id: str, message_id: str, **options: Unpack[CallOptions]) -> MessageDeleted:
        """Delete a message.

        Endpoint: ``DELETE /threads/{thread_id}/messages/{message_id}``

        Args:
            thread_id: The thread's id.
            message_id: The message's id.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no such thread, or no such message in it.
            BadRequestError: An id is of another kind; the message says of what.
            APIConnectionError: No answer came.

        Source: deleteMessage.
        """
        return self._run(call("delete_message", thread_id, message_id, reply=MessageDeleted, options=options))

    def _page_of_messages(self, thread_id: str, options: Mapping[str, Any]) -> Page[Message]:
        page = self._run(call("list_messages", thread_id, reply=ListPage[Message], options=options))
        return Page(page, options, partial(self._page_of_messages, thread_id))


class AsyncMessageMethods(AsyncCore):
    """Methods of `AsyncClient`."""

    @same_docstring(MessageMethods.create_message)
    async def create_message(
        self,
        thread_id: str,
        role: Role,
        content: str | Sequence[NewPartParam],
        **options: Unpack[CreateMessageOptions],
    ) -> Message:
        return await self._streamed(options, lambda rest: self._run(_create(thread_id, role, content, rest)))

    @same_docstring(MessageMethods.get_message)
    async def get_message(self, thread_id: str, message_id: str, **options: Unpack[CallOptions]) -> Message:
        return await self._run(call("get_message", thread_id, message_id, reply=Message, options=options))

    @same_docstring(MessageMethods.list_messages)
    async def list_messages(self, thread_id: str, **options: Unpack[MessagePageOptions]) -> AsyncPage[Message]:
        return await self._streamed_pages(options, partial(self._page_of_messages, thread_id))

    @same_docstring(MessageMethods.modify_message)
    async def modify_message(
        self, thread_id: str, message_id: str, **options: Unpack[ModifyMessageOptions]
    ) -> ModifiedMessage:
        return await self._streamed(options, lambda rest: self._run(_modify(thread_id, message_id, rest)))

    @same_docstring(MessageMethods.delete_message)
    async def delete_message(self, thread_id: str, message_id: str, **options: Unpack[CallOptions]) -> MessageDeleted:
        return await self._run(call("delete_message", thread_id, message_id, reply=MessageDeleted, options=options))

    async def _page_of_messages(self, thread_id: str, options: Mapping[str, Any]) -> AsyncPage[Message]:
        page = await self._run(call("list_messages", thread_id, reply=ListPage[Message], options=options))
        return AsyncPage(page, options, partial(self._page_of_messages, thread_id))


def _create(
    thread_id: str, role: Role, content: str | Sequence[NewPartParam], options: Mapping[str, Any]
) -> Call[Message]:
    given = {"role": role, "content": content}
    return call("create_message", thread_id, reply=Message, options=options, given=given)


def _modify(thread_id: str, message_id: str, options: Mapping[str, Any]) -> Call[ModifiedMessage]:
    return call("modify_message", thread_id, message_id, reply=ModifiedMessage, options=options)
