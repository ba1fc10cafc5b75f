"""Assistants: the five functions of the seed, as methods of both clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from holdover.wire.assistants import Assistant, AssistantDeleted
from holdover.wire.pages import ListPage

from .calls import call
from .core import AsyncCore, Core, same_docstring
from .exchange import Call
from .options import CallOptions, CreateAssistantOptions, Model, ModifyAssistantOptions, PageOptions
from .pages import AsyncPage, Page


class AssistantMethods(Core):
    """Methods of `Client`."""

    def create_assistant(self, model: Model, **options: Unpack[CreateAssistantOptions]) -> Assistant:
        """Create an assistant with a model and instructions.

        Endpoint: ``POST /assistants``

        Args:
            model: The model that answers; any name the service knows.
            description: Up to 512 characters.
            instructions: What the assistant is told before every conversation; up to 256,000 characters.
            metadata: Up to 16 pairs of strings: keys up to 64 characters, values up to 512.
            name: Up to 256 characters.
            reasoning_effort: ``none``, ``minimal``, ``low``, ``medium``, ``high``, ``xhigh`` or ``max``.
            response_format: ``"auto"``, or a text, JSON object or JSON schema format.
            temperature: 0..2.
            tool_resources: ``code_interpreter.file_ids`` (up to 20); ``file_search.vector_store_ids`` (one), or
                ``file_search.vector_stores``: a store to be made (``file_ids``, ``chunking_strategy``, ``metadata``).
            tools: Up to 128: ``code_interpreter``, ``file_search`` or ``function``.
            top_p: 0..1.
            stream_to: Also receives the assistant: a function or a queue (`holdover.Data`, then `holdover.Finish`).
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            The assistant as the service made it. A call that is repeated after trouble makes one assistant only.

        Raises:
            BadRequestError: An option is outside its limits; refused before anything is sent.
            NotFoundError: A file or a vector store that is named does not exist.
            UnknownOptionError: There is no such option.
            APIConnectionError: No answer came.

        Source: createAssistant.
        """
        return self._streamed(options, lambda rest: self._run(_create(model, rest)))

    def get_assistant(self, assistant_id: str, **options: Unpack[CallOptions]) -> Assistant:
        """Retrieve an assistant.

        Endpoint: ``GET /assistants/{assistant_id}``

        Args:
            assistant_id: The assistant's id.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no assistant with this id.
            BadRequestError: It is not the id of an assistant; the message says of what.
            APIConnectionError: No answer came.

        Source: getAssistant.
        """
        return self._run(call("get_assistant", assistant_id, reply=Assistant, options=options))

    def list_assistants(self, **options: Unpack[PageOptions]) -> Page[Assistant]:
        """Return a list of assistants, newest first.

        Endpoint: ``GET /assistants``

        Args:
            after: The id of an assistant; the page begins behind it.
            before: The id of an assistant; the page ends in front of it.
            limit: How many a page has at most: 1..100 (20).
            order: By creation: ``"asc"`` or ``"desc"`` (``desc``).
            stream_to: Also receives every assistant of this page and all that follow.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            A page. ``.data`` is its assistants; ``.all_pages()`` (or iterating it) goes on through all pages, forwards
            or, where only ``before`` is given, backwards.

        Raises:
            NotFoundError: A cursor is not the id of any assistant.
            BadRequestError: An option is outside its limits.
            APIConnectionError: No answer came.

        Source: listAssistants.
        """
        return self._streamed_pages(options, self._page_of_assistants)

    def modify_assistant(self, assistant_id: str, **options: Unpack[ModifyAssistantOptions]) -> Assistant:
        """Modify an assistant: what is left out keeps its value, ``None`` puts it back to its default.

        Endpoint: ``POST /assistants/{assistant_id}``

        Args:
            assistant_id: The assistant's id.
            model: The model that answers.
            description, instructions, metadata, name, reasoning_effort, response_format, temperature, tools, top_p:
                As in `create_assistant`. Metadata and tools are replaced whole.
            tool_resources: ``code_interpreter.file_ids`` and ``file_search.vector_store_ids``; each tool's are
                replaced whole, those of a tool that is left out stay.
            stream_to: Also receives the assistant.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no assistant with this id, or something that is named does not exist.
            BadRequestError: An option is outside its limits; refused before anything is sent.
            UnknownOptionError: There is no such option.
            APIConnectionError: No answer came.

        Source: modifyAssistant.
        """
        return self._streamed(
            options, lambda rest: self._run(call("modify_assistant", assistant_id, reply=Assistant, options=rest))
        )

    def delete_assistant(self, assistant_id: str, **options: Unpack[CallOptions]) -> AssistantDeleted:
        """Delete an assistant.

        Endpoint: ``DELETE /assistants/{assistant_id}``

        Args:
            assistant_id: The assistant's id.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no assistant with this id.
            BadRequestError: It is not the id of an assistant; the message says of what.
            APIConnectionError: No answer came.

        Source: deleteAssistant.
        """
        return self._run(call("delete_assistant", assistant_id, reply=AssistantDeleted, options=options))

    def _page_of_assistants(self, options: Mapping[str, Any]) -> Page[Assistant]:
        page = self._run(call("list_assistants", reply=ListPage[Assistant], options=options))
        return Page(page, options, self._page_of_assistants)


class AsyncAssistantMethods(AsyncCore):
    """Methods of `AsyncClient`."""

    @same_docstring(AssistantMethods.create_assistant)
    async def create_assistant(self, model: Model, **options: Unpack[CreateAssistantOptions]) -> Assistant:
        return await self._streamed(options, lambda rest: self._run(_create(model, rest)))

    @same_docstring(AssistantMethods.get_assistant)
    async def get_assistant(self, assistant_id: str, **options: Unpack[CallOptions]) -> Assistant:
        return await self._run(call("get_assistant", assistant_id, reply=Assistant, options=options))

    @same_docstring(AssistantMethods.list_assistants)
    async def list_assistants(self, **options: Unpack[PageOptions]) -> AsyncPage[Assistant]:
        return await self._streamed_pages(options, self._page_of_assistants)

    @same_docstring(AssistantMethods.modify_assistant)
    async def modify_assistant(self, assistant_id: str, **options: Unpack[ModifyAssistantOptions]) -> Assistant:
        return await self._streamed(
            options, lambda rest: self._run(call("modify_assistant", assistant_id, reply=Assistant, options=rest))
        )

    @same_docstring(AssistantMethods.delete_assistant)
    async def delete_assistant(self, assistant_id: str, **options: Unpack[CallOptions]) -> AssistantDeleted:
        return await self._run(call("delete_assistant", assistant_id, reply=AssistantDeleted, options=options))

    async def _page_of_assistants(self, options: Mapping[str, Any]) -> AsyncPage[Assistant]:
        page = await self._run(call("list_assistants", reply=ListPage[Assistant], options=options))
        return AsyncPage(page, options, self._page_of_assistants)


def _create(model: Model, options: Mapping[str, Any]) -> Call[Assistant]:
    return call("create_assistant", reply=Assistant, options=options, given={"model": model})
