"""Files of vector stores and batches of these, as methods of both clients."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Unpack

from holdover.wire.pages import ListPage
from holdover.wire.vector_stores import (
    FileBatch,
    VectorStoreFile,
    VectorStoreFileContent,
    VectorStoreFileDeleted,
)

from .calls import call
from .core import AsyncCore, Core, same_docstring
from .options import (
    CallOptions,
    CreateFileBatchOptions,
    CreateVectorStoreFileOptions,
    StreamedCallOptions,
    VectorStoreFilePageOptions,
)
from .pages import AsyncPage, Page

#: What searches are filtered by.
Attributes = Mapping[str, str | float | bool]


class VectorStoreFileMethods(Core):
    """Methods of `Client`."""

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

    def _page_of_store_files(self, *asked_and_options: Any) -> Page[VectorStoreFile]:
        *asked, options = asked_and_options
        page = self._run(call(*asked, reply=ListPage[VectorStoreFile], options=options))
        return Page(page, options, partial(self._page_of_store_files, *asked))


class AsyncVectorStoreFileMethods(AsyncCore):
    """Methods of `AsyncClient`."""

    @same_docstring(VectorStoreFileMethods.create_vector_store_file)
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

    @same_docstring(VectorStoreFileMethods.get_vector_store_file)
    async def get_vector_store_file(
        self, vector_store_id: str, file_id: str, **options: Unpack[CallOptions]
    ) -> VectorStoreFile:
        return await self._run(
            call("get_vector_store_file", vector_store_id, file_id, reply=VectorStoreFile, options=options)
        )

    @same_docstring(VectorStoreFileMethods.list_vector_store_files)
    async def list_vector_store_files(
        self, vector_store_id: str, **options: Unpack[VectorStoreFilePageOptions]
    ) -> AsyncPage[VectorStoreFile]:
        return await self._streamed_pages(
            options, partial(self._page_of_store_files, "list_vector_store_files", vector_store_id)
        )

    @same_docstring(VectorStoreFileMethods.update_vector_store_file_attributes)
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

    @same_docstring(VectorStoreFileMethods.delete_vector_store_file)
    async def delete_vector_store_file(
        self, vector_store_id: str, file_id: str, **options: Unpack[CallOptions]
    ) -> VectorStoreFileDeleted:
        return await self._run(
            call("delete_vector_store_file", vector_store_id, file_id, reply=VectorStoreFileDeleted, options=options)
        )

    @same_docstring(VectorStoreFileMethods.retrieve_vector_store_file_content)
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

    @same_docstring(VectorStoreFileMethods.create_vector_store_file_batch)
    async def create_vector_store_file_batch(
        self, vector_store_id: str, **options: Unpack[CreateFileBatchOptions]
    ) -> FileBatch:
        return await self._streamed(
            options,
            lambda rest: self._run(
                call("create_vector_store_file_batch", vector_store_id, reply=FileBatch, options=rest)
            ),
        )

    @same_docstring(VectorStoreFileMethods.get_vector_store_file_batch)
    async def get_vector_store_file_batch(
        self, vector_store_id: str, batch_id: str, **options: Unpack[CallOptions]
    ) -> FileBatch:
        return await self._run(
            call("get_vector_store_file_batch", vector_store_id, batch_id, reply=FileBatch, options=options)
        )

    @same_docstring(VectorStoreFileMethods.cancel_vector_store_file_batch)
    async def cancel_vector_store_file_batch(
        self, vector_store_id: str, batch_id: str, **options: Unpack[StreamedCallOptions]
    ) -> FileBatch:
        return await self._streamed(
            options,
            lambda rest: self._run(
                call("cancel_vector_store_file_batch", vector_store_id, batch_id, reply=FileBatch, options=rest)
            ),
        )

    @same_docstring(VectorStoreFileMethods.list_files_in_vector_store_batch)
    async def list_files_in_vector_store_batch(
        self, vector_store_id: str, batch_id: str, **options: Unpack[VectorStoreFilePageOptions]
    ) -> AsyncPage[VectorStoreFile]:
        return await self._streamed_pages(
            options, partial(self._page_of_store_files, "list_files_in_vector_store_batch", vector_store_id, batch_id)
        )

    async def _page_of_store_files(self, *asked_and_options: Any) -> AsyncPage[VectorStoreFile]:
        *asked, options = asked_and_options
        page = await self._run(call(*asked, reply=ListPage[VectorStoreFile], options=options))
        return AsyncPage(page, options, partial(self._page_of_store_files, *asked))
