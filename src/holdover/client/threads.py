"""Threads, as methods of both clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from holdover.wire.pages import ListPage
from holdover.wire.threads import Thread, ThreadDeleted

from .calls import call
from .core import AsyncCore, Core, same_docstring
from .options import CallOptions, CreateThreadOptions, ModifyThreadOptions, ThreadPageOptions
from .pages import AsyncPage, Page


class ThreadMethods(Core):
    """Methods of `Client`."""

    def create_thread(self, **options: Unpack[CreateThreadOptions]) -> Thread:
        """Create a thread, with its first messages if any.

        Endpoint: ``POST /threads``

        Args:
            messages: What was said so far: ``role``, ``content``, ``attachments`` and ``metadata`` of each.
            metadata: Up to 16 pairs of strings: keys up to 64 characters, values up to 512.
            tool_resources: ``code_interpreter.file_ids`` (up to 20); ``file_search.vector_store_ids`` (one), or
                ``file_search.vector_stores``: a store to be made.
            stream_to: Also receives the thread: a function or a queue (`holdover.Data`, then `holdover.Finish`).
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            The thread, without its messages. A call that is repeated after trouble makes one thread only.

        Raises:
            BadRequestError: An option is outside its limits, or a message says nothing.
            NotFoundError: A file or a vector store that is named does not exist.
            APIConnectionError: No answer came.

        Source: createThread.
        """
        return self._streamed(options, lambda rest: self._run(call("create_thread", reply=Thread, options=rest)))

    def get_thread(self, thread_id: str, **options: Unpack[CallOptions]) -> Thread:
        """Retrieve a thread.

        Endpoint: ``GET /threads/{thread_id}``

        Args:
            thread_id: The thread's id.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no thread with this id.
            BadRequestError: It is not the id of a thread; the message says of what.
            APIConnectionError: No answer came.

        Source: getThread.
        """
        return self._run(call("get_thread", thread_id, reply=Thread, options=options))

    def list_threads(self, **options: Unpack[ThreadPageOptions]) -> Page[Thread]:
        """Return a list of threads, newest first; the hosted API had no such operation.

        Endpoint: ``GET /threads``

        Args:
            metadata: Only threads whose metadata has all of these pairs.
            after: The id of a thread; the page begins behind it.
            before: The id of a thread; the page ends in front of it.
            limit: How many a page has at most: 1..100 (20).
            order: By creation: ``"asc"`` or ``"desc"`` (``desc``).
            stream_to: Also receives every thread of this page and all that follow.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            A page; iterating it goes on through all pages, as with `list_assistants`.

        Raises:
            NotFoundError: A cursor is not the id of any thread.
            BadRequestError: An option is outside its limits.
            APIConnectionError: No answer came.

        Source: an extension.
        """
        return self._streamed_pages(options, self._page_of_threads)

    def modify_thread(self, thread_id: str, **options: Unpack[ModifyThreadOptions]) -> Thread:
        """Modify a thread: what is left out keeps its value, ``None`` puts it back to its default.

        Endpoint: ``POST /threads/{thread_id}``

        Args:
            thread_id: The thread's id.
            metadata: Replaces all pairs.
            tool_resources: Each tool's are replaced whole, those of a tool that is left out stay.
            stream_to: Also receives the thread.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no thread with this id, or something that is named does not exist.
            BadRequestError: An option is outside its limits; refused before anything is sent.
            APIConnectionError: No answer came.

        Source: modifyThread.
        """
        return self._streamed(
            options, lambda rest: self._run(call("modify_thread", thread_id, reply=Thread, options=rest))
        )

    def delete_thread(self, thread_id: str, **options: Unpack[CallOptions]) -> ThreadDeleted:
        """Delete a thread and its messages.

        Endpoint: ``DELETE /threads/{thread_id}``

        Args:
            thread_id: The thread's id.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no thread with this id.
            BadRequestError: It is not the id of a thread; the message says of what.
            APIConnectionError: No answer came.

        Source: deleteThread.
        """
        return self._run(call("delete_thread", thread_id, reply=ThreadDeleted, options=options))

    def _page_of_threads(self, options: Mapping[str, Any]) -> Page[Thread]:
        page = self._run(call("list_threads", reply=ListPage[Thread], options=options))
        return Page(page, options, self._page_of_threads)


class AsyncThreadMethods(AsyncCore):
    """Methods of `AsyncClient`."""

    @same_docstring(ThreadMethods.create_thread)
    async def create_thread(self, **options: Unpack[CreateThreadOptions]) -> Thread:
        return await self._streamed(options, lambda rest: self._run(call("create_thread", reply=Thread, options=rest)))

    @same_docstring(ThreadMethods.get_thread)
    async def get_thread(self, thread_id: str, **options: Unpack[CallOptions]) -> Thread:
        return await self._run(call("get_thread", thread_id, reply=Thread, options=options))

    @same_docstring(ThreadMethods.list_threads)
    async def list_threads(self, **options: Unpack[ThreadPageOptions]) -> AsyncPage[Thread]:
        return await self._streamed_pages(options, self._page_of_threads)

    @same_docstring(ThreadMethods.modify_thread)
    async def modify_thread(self, thread_id: str, **options: Unpack[ModifyThreadOptions]) -> Thread:
        return await self._streamed(
            options, lambda rest: self._run(call("modify_thread", thread_id, reply=Thread, options=rest))
        )

    @same_docstring(ThreadMethods.delete_thread)
    async def delete_thread(self, thread_id: str, **options: Unpack[CallOptions]) -> ThreadDeleted:
        return await self._run(call("delete_thread", thread_id, reply=ThreadDeleted, options=options))

    async def _page_of_threads(self, options: Mapping[str, Any]) -> AsyncPage[Thread]:
        page = await self._run(call("list_threads", reply=ListPage[Thread], options=options))
        return AsyncPage(page, options, self._page_of_threads)
