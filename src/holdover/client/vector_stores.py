"""Vector stores, their files and batches, as methods of both clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Unpack

from holdover.wire.pages import ListPage
from holdover.wire.vector_stores import (
    FileBatch,
    SearchResults,
    VectorStore,
    VectorStoreDeleted,
    VectorStoreFile,
    VectorStoreFileContent,
    VectorStoreFileDeleted,
)

from .calls import call
from .core import AsyncCore, Core, same_docstring
from .exchange import run, run_async
from .options import (
    CallOptions,
    CreateFileBatchOptions,
    CreateVectorStoreFileOptions,
    CreateVectorStoreOptions,
    ModifyVectorStoreOptions,
    PageOptions,
    SearchVectorStoreOptions,
    StreamedCallOptions,
    VectorStoreFilePageOptions,
    WaitForVectorStoreOptions,
)
from .pages import AsyncPage, Page

#: What is looked for: one wording, or several.
Query = str | Sequence[str]
#: What searches are filtered by.
Attributes = Mapping[str, str | float | bool]


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

    def create_vector_store_file(
        self, vector_store_id: str, file_id: str, **options: Unpack[CreateVectorStoreFileOptions]
    ) -> VectorStoreFile:
        """Add a file to a vector store and have it indexed.

        Endpoint: ``POST /vector_stores/{vector_store_id}/files``

        Args:
            vector_store_id: The vector store's id.
            file_id: The file's id.
            attributes: Up to 16 pairs to filter searches by: strings up to 512 characters, numbers, booleans.
            chunking_strategy: ``{"type": "auto"}``, or ``{"type": "static", "static": …}`` with
                ``max_chunk_size_tokens`` (100..4096; 800) and ``chunk_overlap_tokens`` (at most half of it; 400).
            stream_to: Also receives the file.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            The file, ``in_progress`` until it is indexed. One that is there already begins anew.

        Raises:
            NotFoundError: There is no such vector store or file.
            BadRequestError: An option is outside its limits, the file cannot be searched, or the store has expired.
            APIConnectionError: No answer came.

        Source: createVectorStoreFile.
        """
        return self._streamed(
            options,
            lambda rest: self._run(
                call(
                    "create_vector_store_file",
                    vector_store_id,
                    reply=VectorStoreFile,
                    options=rest,
                    given={"file_id": file_id},
                )
            ),
        )

    def get_vector_store_file(
        self, vector_store_id: str, file_id: str, **options: Unpack[CallOptions]
    ) -> VectorStoreFile:
        """Retrieve a file of a vector store: how far it is, and what went wrong.

        Endpoint: ``GET /vector_stores/{vector_store_id}/files/{file_id}``

        Args:
            vector_store_id: The vector store's id.
            file_id: The file's id.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: The file is not in this vector store, or there is no such store.
            BadRequestError: An id is of another kind; the message says of what.
            APIConnectionError: No answer came.

        Source: getVectorStoreFile.
        """
        return self._run(
            call("get_vector_store_file", vector_store_id, file_id, reply=VectorStoreFile, options=options)
        )

    def list_vector_store_files(
        self, vector_store_id: str, **options: Unpack[VectorStoreFilePageOptions]
    ) -> Page[VectorStoreFile]:
        """Return a list of a vector store's files, newest first.

        Endpoint: ``GET /vector_stores/{vector_store_id}/files``

        Args:
            vector_store_id: The vector store's id.
            filter: Only those in one state: ``in_progress``, ``completed``, ``failed`` or ``cancelled``.
            after: The id of a file; the page begins behind it.
            before: The id of a file; the page ends in front of it.
            limit: How many a page has at most: 1..100 (20).
            order: By creation: ``"asc"`` or ``"desc"`` (``desc``).
            stream_to: Also receives every file of this page and all that follow.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            A page; iterating it goes on through all pages, as with `list_assistants`.

        Raises:
            NotFoundError: There is no such vector store, or a cursor was never the id of a file in it.
            BadRequestError: An option is outside its limits.
            APIConnectionError: No answer came.

        Source: listVectorStoreFiles.
        """
        return self._streamed_pages(
            options, partial(self._page_of_store_files, "list_vector_store_files", vector_store_id)
        )

    def update_vector_store_file_attributes(
        self, vector_store_id: str, file_id: str, attributes: Attributes | None, **options: Unpack[StreamedCallOptions]
    ) -> VectorStoreFile:
        """Replace the attributes of a file, by which searches are filtered.

        Endpoint: ``POST /vector_stores/{vector_store_id}/files/{file_id}``

        Args:
            vector_store_id: The vector store's id.
            file_id: The file's id.
            attributes: All of them, up to 16 pairs: strings up to 512 characters, numbers, booleans.
            stream_to: Also receives the file.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: The file is not in this vector store, or there is no such store.
            BadRequestError: An option is outside its limits.
            APIConnectionError: No answer came.

        Source: updateVectorStoreFileAttributes.
        """
        return self._streamed(
            options,
            lambda rest: self._run(
                call(
                    "update_vector_store_file_attributes",
                    vector_store_id,
                    file_id,
                    reply=VectorStoreFile,
                    options=rest,
                    given={"attributes": attributes},
                )
            ),
        )

    def delete_vector_store_file(
        self, vector_store_id: str, file_id: str, **options: Unpack[CallOptions]
    ) -> VectorStoreFileDeleted:
        """Take a file out of a vector store; the file itself stays.

        Endpoint: ``DELETE /vector_stores/{vector_store_id}/files/{file_id}``

        Args:
            vector_store_id: The vector store's id.
            file_id: The file's id.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: The file is not in this vector store, or there is no such store.
            BadRequestError: An id is of another kind; the message says of what.
            APIConnectionError: No answer came.

        Source: deleteVectorStoreFile.
        """
        return self._run(
            call("delete_vector_store_file", vector_store_id, file_id, reply=VectorStoreFileDeleted, options=options)
        )

    def retrieve_vector_store_file_content(
        self, vector_store_id: str, file_id: str, **options: Unpack[CallOptions]
    ) -> VectorStoreFileContent:
        """Retrieve the text that was read from a file.

        Endpoint: ``GET /vector_stores/{vector_store_id}/files/{file_id}/content``

        Args:
            vector_store_id: The vector store's id.
            file_id: The file's id.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            The text; no part of it while the file is not indexed.

        Raises:
            NotFoundError: The file is not in this vector store, or there is no such store.
            BadRequestError: An id is of another kind; the message says of what.
            APIConnectionError: No answer came.

        Source: retrieveVectorStoreFileContent.
        """
        return self._run(
            call(
                "retrieve_vector_store_file_content",
                vector_store_id,
                file_id,
                reply=VectorStoreFileContent,
                options=options,
            )
        )

    def create_vector_store_file_batch(
        self, vector_store_id: str, **options: Unpack[CreateFileBatchOptions]
    ) -> FileBatch:
        """Add many files to a vector store and have them indexed.

        Endpoint: ``POST /vector_stores/{vector_store_id}/file_batches``

        Args:
            vector_store_id: The vector store's id.
            file_ids: Up to 2,000 files.
            files: The same, each with ``attributes`` and a ``chunking_strategy`` of its own, instead of ``file_ids``.
            attributes: Of all of ``file_ids``: up to 16 pairs.
            chunking_strategy: ``{"type": "auto"}``, or ``{"type": "static", "static": …}`` with
                ``max_chunk_size_tokens`` (100..4096; 800) and ``chunk_overlap_tokens`` (at most half of it; 400).
            stream_to: Also receives the batch.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            The batch, ``in_progress`` until all its files are indexed. See `wait_for_vector_store`.

        Raises:
            NotFoundError: There is no such vector store, or a file does not exist.
            BadRequestError: An option is outside its limits, a file cannot be searched, or the store has expired.
            APIConnectionError: No answer came.

        Source: createVectorStoreFileBatch.
        """
        return self._streamed(
            options,
            lambda rest: self._run(
                call("create_vector_store_file_batch", vector_store_id, reply=FileBatch, options=rest)
            ),
        )

    def get_vector_store_file_batch(
        self, vector_store_id: str, batch_id: str, **options: Unpack[CallOptions]
    ) -> FileBatch:
        """Retrieve a batch of files: how many of them are in which state.

        Endpoint: ``GET /vector_stores/{vector_store_id}/file_batches/{batch_id}``

        Args:
            vector_store_id: The vector store's id.
            batch_id: The batch's id.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no such batch in this vector store.
            BadRequestError: An id is of another kind; the message says of what.
            APIConnectionError: No answer came.

        Source: getVectorStoreFileBatch.
        """
        return self._run(
            call("get_vector_store_file_batch", vector_store_id, batch_id, reply=FileBatch, options=options)
        )

    def cancel_vector_store_file_batch(
        self, vector_store_id: str, batch_id: str, **options: Unpack[StreamedCallOptions]
    ) -> FileBatch:
        """Cancel what is left of a batch of files; one that is finished stays as it is.

        Endpoint: ``POST /vector_stores/{vector_store_id}/file_batches/{batch_id}/cancel``

        Args:
            vector_store_id: The vector store's id.
            batch_id: The batch's id.
            stream_to: Also receives the batch.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no such batch in this vector store.
            BadRequestError: An id is of another kind; the message says of what.
            APIConnectionError: No answer came.

        Source: cancelVectorStoreFileBatch.
        """
        return self._streamed(
            options,
            lambda rest: self._run(
                call("cancel_vector_store_file_batch", vector_store_id, batch_id, reply=FileBatch, options=rest)
            ),
        )

    def list_files_in_vector_store_batch(
        self, vector_store_id: str, batch_id: str, **options: Unpack[VectorStoreFilePageOptions]
    ) -> Page[VectorStoreFile]:
        """Return a list of a batch's files, newest first, without their attributes.

        Endpoint: ``GET /vector_stores/{vector_store_id}/file_batches/{batch_id}/files``

        Args:
            vector_store_id: The vector store's id.
            batch_id: The batch's id.
            filter: Only those in one state: ``in_progress``, ``completed``, ``failed`` or ``cancelled``.
            after: The id of a file; the page begins behind it.
            before: The id of a file; the page ends in front of it.
            limit: How many a page has at most: 1..100 (20).
            order: By creation: ``"asc"`` or ``"desc"`` (``desc``).
            stream_to: Also receives every file of this page and all that follow.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            A page; iterating it goes on through all pages, as with `list_assistants`.

        Raises:
            NotFoundError: There is no such batch, or a cursor was never the id of a file in the store.
            BadRequestError: An option is outside its limits.
            APIConnectionError: No answer came.

        Source: listFilesInVectorStoreBatch.
        """
        return self._streamed_pages(
            options, partial(self._page_of_store_files, "list_files_in_vector_store_batch", vector_store_id, batch_id)
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

    def _page_of_store_files(self, *asked_and_options: Any) -> Page[VectorStoreFile]:
        *asked, options = asked_and_options
        page = self._run(call(*asked, reply=ListPage[VectorStoreFile], options=options))
        return Page(page, options, partial(self._page_of_store_files, *asked))


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

    @same_docstring(VectorStoreMethods.create_vector_store_file)
    async def create_vector_store_file(
        self, vector_store_id: str, file_id: str, **options: Unpack[CreateVectorStoreFileOptions]
    ) -> VectorStoreFile:
        return await self._streamed(
            options,
            lambda rest: self._run(
                call(
                    "create_vector_store_file",
                    vector_store_id,
                    reply=VectorStoreFile,
                    options=rest,
                    given={"file_id": file_id},
                )
            ),
        )

    @same_docstring(VectorStoreMethods.get_vector_store_file)
    async def get_vector_store_file(
        self, vector_store_id: str, file_id: str, **options: Unpack[CallOptions]
    ) -> VectorStoreFile:
        return await self._run(
            call("get_vector_store_file", vector_store_id, file_id, reply=VectorStoreFile, options=options)
        )

    @same_docstring(VectorStoreMethods.list_vector_store_files)
    async def list_vector_store_files(
        self, vector_store_id: str, **options: Unpack[VectorStoreFilePageOptions]
    ) -> AsyncPage[VectorStoreFile]:
        return await self._streamed_pages(
            options, partial(self._page_of_store_files, "list_vector_store_files", vector_store_id)
        )

    @same_docstring(VectorStoreMethods.update_vector_store_file_attributes)
    async def update_vector_store_file_attributes(
        self, vector_store_id: str, file_id: str, attributes: Attributes | None, **options: Unpack[StreamedCallOptions]
    ) -> VectorStoreFile:
        return await self._streamed(
            options,
            lambda rest: self._run(
                call(
                    "update_vector_store_file_attributes",
                    vector_store_id,
                    file_id,
                    reply=VectorStoreFile,
                    options=rest,
                    given={"attributes": attributes},
                )
            ),
        )

    @same_docstring(VectorStoreMethods.delete_vector_store_file)
    async def delete_vector_store_file(
        self, vector_store_id: str, file_id: str, **options: Unpack[CallOptions]
    ) -> VectorStoreFileDeleted:
        return await self._run(
            call("delete_vector_store_file", vector_store_id, file_id, reply=VectorStoreFileDeleted, options=options)
        )

    @same_docstring(VectorStoreMethods.retrieve_vector_store_file_content)
    async def retrieve_vector_store_file_content(
        self, vector_store_id: str, file_id: str, **options: Unpack[CallOptions]
    ) -> VectorStoreFileContent:
        return await self._run(
            call(
                "retrieve_vector_store_file_content",
                vector_store_id,
                file_id,
                reply=VectorStoreFileContent,
                options=options,
            )
        )

    @same_docstring(VectorStoreMethods.create_vector_store_file_batch)
    async def create_vector_store_file_batch(
        self, vector_store_id: str, **options: Unpack[CreateFileBatchOptions]
    ) -> FileBatch:
        return await self._streamed(
            options,
            lambda rest: self._run(
                call("create_vector_store_file_batch", vector_store_id, reply=FileBatch, options=rest)
            ),
        )

    @same_docstring(VectorStoreMethods.get_vector_store_file_batch)
    async def get_vector_store_file_batch(
        self, vector_store_id: str, batch_id: str, **options: Unpack[CallOptions]
    ) -> FileBatch:
        return await self._run(
            call("get_vector_store_file_batch", vector_store_id, batch_id, reply=FileBatch, options=options)
        )

    @same_docstring(VectorStoreMethods.cancel_vector_store_file_batch)
    async def cancel_vector_store_file_batch(
        self, vector_store_id: str, batch_id: str, **options: Unpack[StreamedCallOptions]
    ) -> FileBatch:
        return await self._streamed(
            options,
            lambda rest: self._run(
                call("cancel_vector_store_file_batch", vector_store_id, batch_id, reply=FileBatch, options=rest)
            ),
        )

    @same_docstring(VectorStoreMethods.list_files_in_vector_store_batch)
    async def list_files_in_vector_store_batch(
        self, vector_store_id: str, batch_id: str, **options: Unpack[VectorStoreFilePageOptions]
    ) -> AsyncPage[VectorStoreFile]:
        return await self._streamed_pages(
            options, partial(self._page_of_store_files, "list_files_in_vector_store_batch", vector_store_id, batch_id)
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

    async def _page_of_store_files(self, *asked_and_options: Any) -> AsyncPage[VectorStoreFile]:
        *asked, options = asked_and_options
        page = await self._run(call(*asked, reply=ListPage[VectorStoreFile], options=options))
        return AsyncPage(page, options, partial(self._page_of_store_files, *asked))
