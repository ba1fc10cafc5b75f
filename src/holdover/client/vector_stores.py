"""Vector stores, as methods of both clients. Their files and batches are in ``vector_store_files``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from holdover.wire.pages import ListPage
from holdover.wire.vector_stores import (
    SearchResults,
    VectorStore,
    VectorStoreDeleted,
)

from .calls import call
from .core import AsyncCore, Core, same_docstring
from .exchange import run, run_async
from .options import (
    CallOptions,
    CreateVectorStoreOptions,
    ModifyVectorStoreOptions,
    PageOptions,
    SearchVectorStoreOptions,
    WaitForVectorStoreOptions,
)
from .pages import AsyncPage, Page

#: What is looked for: one wording, or several.
Query = str | Sequence[str]


class VectorStoreMethods(Core):
    """Methods of `Client`."""

    def create_vector_store(self, **options: Unpack[CreateVectorStoreOptions]) -> VectorStore:
        """Create a vector store, with its first files if any.

        Endpoint: ``POST /vector_stores``

        Args:
            name, description: What it is called.
            file_ids: Up to 500 files to be indexed.
            expires_after: ``{"anchor": "last_active_at", "days": 7}``: 1..365 days after it was last searched.
            chunking_strategy: ``{"type": "auto"}``, or ``{"type": "static", "static": …}`` with
                ``max_chunk_size_tokens`` (100..4096; 800) and ``chunk_overlap_tokens`` (at most half of it; 400).
            metadata: Up to 16 pairs of strings: keys up to 64 characters, values up to 512.
            stream_to: Also receives the vector store: a function or a queue (`holdover.Data`, then `holdover.Finish`).
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            The vector store; its files are ``in_progress`` until they are indexed. See `wait_for_vector_store`.

        Raises:
            NotFoundError: A file does not exist.
            BadRequestError: An option is outside its limits, or a file cannot be searched.
            APIConnectionError: No answer came.

        Source: createVectorStore.
        """
        return self._streamed(
            options, lambda rest: self._run(call("create_vector_store", reply=VectorStore, options=rest))
        )

    def get_vector_store(self, vector_store_id: str, **options: Unpack[CallOptions]) -> VectorStore:
        """Retrieve a vector store.

        Endpoint: ``GET /vector_stores/{vector_store_id}``

        Args:
            vector_store_id: The vector store's id.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no vector store with this id.
            BadRequestError: An id is of another kind; the message says of what.
            APIConnectionError: No answer came.

        Source: getVectorStore.
        """
        return self._run(call("get_vector_store", vector_store_id, reply=VectorStore, options=options))

    def list_vector_stores(self, **options: Unpack[PageOptions]) -> Page[VectorStore]:
        """Return a list of vector stores, newest first.

        Endpoint: ``GET /vector_stores``

        Args:
            after: The id of a vector store; the page begins behind it.
            before: The id of a vector store; the page ends in front of it.
            limit: How many a page has at most: 1..100 (20).
            order: By creation: ``"asc"`` or ``"desc"`` (``desc``).
            stream_to: Also receives every vector store of this page and all that follow.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            A page; iterating it goes on through all pages, as with `list_assistants`.

        Raises:
            NotFoundError: A cursor is not the id of any vector store.
            BadRequestError: An option is outside its limits.
            APIConnectionError: No answer came.

        Source: listVectorStores.
        """
        return self._streamed_pages(options, self._page_of_vector_stores)

    def modify_vector_store(self, vector_store_id: str, **options: Unpack[ModifyVectorStoreOptions]) -> VectorStore:
        """Modify a vector store: what is left out keeps its value, ``None`` puts it back to its default.

        Endpoint: ``POST /vector_stores/{vector_store_id}``

        Args:
            vector_store_id: The vector store's id.
            name: What it is called.
            expires_after: When it expires, counted from when it was last searched; ``None``: never.
            metadata: Replaces all pairs.
            stream_to: Also receives the vector store.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no vector store with this id.
            BadRequestError: An option is outside its limits.
            APIConnectionError: No answer came.

        Source: modifyVectorStore.
        """
        return self._streamed(
            options,
            lambda rest: self._run(call("modify_vector_store", vector_store_id, reply=VectorStore, options=rest)),
        )

    def delete_vector_store(self, vector_store_id: str, **options: Unpack[CallOptions]) -> VectorStoreDeleted:
        """Delete a vector store and what was indexed in it; its files stay.

        Endpoint: ``DELETE /vector_stores/{vector_store_id}``

        Args:
            vector_store_id: The vector store's id.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no vector store with this id.
            BadRequestError: An id is of another kind; the message says of what.
            APIConnectionError: No answer came.

        Source: deleteVectorStore.
        """
        return self._run(call("delete_vector_store", vector_store_id, reply=VectorStoreDeleted, options=options))

    def search_vector_store(
        self, vector_store_id: str, query: Query, **options: Unpack[SearchVectorStoreOptions]
    ) -> SearchResults:
        """Search a vector store for passages that fit a query.

        Endpoint: ``POST /vector_stores/{vector_store_id}/search``

        Args:
            vector_store_id: The vector store's id.
            query: What is looked for, or several wordings of it.
            max_num_results: 1..50 (10).
            filters: Which files are searched, by their attributes: ``{"type": "eq", "key": …, "value": …}``, also
                ``ne``, ``gt``, ``gte``, ``lt``, ``lte``, ``in``, ``nin``; ``{"type": "and", "filters": […]}``, or
                ``or``.
            ranking_options: ``score_threshold`` (0..1), ``ranker``, and ``hybrid_search``: the weights of meaning and
                of words.
            rewrite_query: Taken, and not heeded: the query is used as it is.
            stream_to: Also receives the results.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            Passages, the best first, with scores of 0..1.

        Raises:
            NotFoundError: There is no vector store with this id.
            BadRequestError: An option is outside its limits, or the vector store has expired.
            APIConnectionError: No answer came.

        Source: searchVectorStore.
        """
        return self._streamed(
            options,
            lambda rest: self._run(
                call("search_vector_store", vector_store_id, reply=SearchResults, options=rest, given={"query": query})
            ),
        )

    def wait_for_vector_store(self, vector_store_id: str, **options: Unpack[WaitForVectorStoreOptions]) -> VectorStore:
        """Wait until no file of a vector store is being indexed any more.

        Endpoint: ``GET /vector_stores/{vector_store_id}``, again and again.

        Args:
            vector_store_id: The vector store's id.
            on_progress: Called with the vector store whenever it was looked at; its ``file_counts`` say how far it is.
            poll_interval_s: Seconds between two looks; otherwise they begin at a tenth and grow to one.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's; the
                time is for each look.

        Returns:
            The vector store. Files that could not be indexed are counted as failed; each says why.

        Raises:
            NotFoundError: There is no vector store with this id.
            BadRequestError: It is not the id of a vector store, or the interval is none.
            APIConnectionError: No answer came.
        """
        from .polling import wait_for_vector_store

        return run(wait_for_vector_store(self._target, vector_store_id, options), self._transport.send, self._sleep)

    def _page_of_vector_stores(self, options: Mapping[str, Any]) -> Page[VectorStore]:
        page = self._run(call("list_vector_stores", reply=ListPage[VectorStore], options=options))
        return Page(page, options, self._page_of_vector_stores)


class AsyncVectorStoreMethods(AsyncCore):
    """Methods of `AsyncClient`."""

    @same_docstring(VectorStoreMethods.create_vector_store)
    async def create_vector_store(self, **options: Unpack[CreateVectorStoreOptions]) -> VectorStore:
        return await self._streamed(
            options, lambda rest: self._run(call("create_vector_store", reply=VectorStore, options=rest))
        )

    @same_docstring(VectorStoreMethods.get_vector_store)
    async def get_vector_store(self, vector_store_id: str, **options: Unpack[CallOptions]) -> VectorStore:
        return await self._run(call("get_vector_store", vector_store_id, reply=VectorStore, options=options))

    @same_docstring(VectorStoreMethods.list_vector_stores)
    async def list_vector_stores(self, **options: Unpack[PageOptions]) -> AsyncPage[VectorStore]:
        return await self._streamed_pages(options, self._page_of_vector_stores)

    @same_docstring(VectorStoreMethods.modify_vector_store)
    async def modify_vector_store(
        self, vector_store_id: str, **options: Unpack[ModifyVectorStoreOptions]
    ) -> VectorStore:
        return await self._streamed(
            options,
            lambda rest: self._run(call("modify_vector_store", vector_store_id, reply=VectorStore, options=rest)),
        )

    @same_docstring(VectorStoreMethods.delete_vector_store)
    async def delete_vector_store(self, vector_store_id: str, **options: Unpack[CallOptions]) -> VectorStoreDeleted:
        return await self._run(call("delete_vector_store", vector_store_id, reply=VectorStoreDeleted, options=options))

    @same_docstring(VectorStoreMethods.search_vector_store)
    async def search_vector_store(
        self, vector_store_id: str, query: Query, **options: Unpack[SearchVectorStoreOptions]
    ) -> SearchResults:
        return await self._streamed(
            options,
            lambda rest: self._run(
                call("search_vector_store", vector_store_id, reply=SearchResults, options=rest, given={"query": query})
            ),
        )

    @same_docstring(VectorStoreMethods.wait_for_vector_store)
    async def wait_for_vector_store(
        self, vector_store_id: str, **options: Unpack[WaitForVectorStoreOptions]
    ) -> VectorStore:
        from .polling import wait_for_vector_store

        flow = wait_for_vector_store(self._target, vector_store_id, options)
        return await run_async(flow, self._transport.send, self._sleep)

    async def _page_of_vector_stores(self, options: Mapping[str, Any]) -> AsyncPage[VectorStore]:
        page = await self._run(call("list_vector_stores", reply=ListPage[VectorStore], options=options))
        return AsyncPage(page, options, self._page_of_vector_stores)
