"""Vector stores, their files and batches: functions for the default client."""

from __future__ import annotations

from typing import Unpack

from holdover.wire.vector_stores import (
    FileBatch,
    SearchResults,
    VectorStore,
    VectorStoreDeleted,
    VectorStoreFile,
    VectorStoreFileContent,
    VectorStoreFileDeleted,
)

from ..clients import Client
from ..core import same_docstring
from ..default import default_client
from ..options import (
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
from ..pages import Page
from ..vector_store_files import Attributes
from ..vector_stores import Query

__all__ = [
    "cancel_vector_store_file_batch",
    "create_vector_store",
    "create_vector_store_file",
    "create_vector_store_file_batch",
    "delete_vector_store",
    "delete_vector_store_file",
    "get_vector_store",
    "get_vector_store_file",
    "get_vector_store_file_batch",
    "list_files_in_vector_store_batch",
    "list_vector_store_files",
    "list_vector_stores",
    "modify_vector_store",
    "retrieve_vector_store_file_content",
    "search_vector_store",
    "update_vector_store_file_attributes",
    "wait_for_vector_store",
]


@same_docstring(Client.create_vector_store)
def create_vector_store(**options: Unpack[CreateVectorStoreOptions]) -> VectorStore:
    return default_client().create_vector_store(**options)


@same_docstring(Client.get_vector_store)
def get_vector_store(vector_store_id: str, **options: Unpack[CallOptions]) -> VectorStore:
    return default_client().get_vector_store(vector_store_id, **options)


@same_docstring(Client.list_vector_stores)
def list_vector_stores(**options: Unpack[PageOptions]) -> Page[VectorStore]:
    return default_client().list_vector_stores(**options)


@same_docstring(Client.modify_vector_store)
def modify_vector_store(vector_store_id: str, **options: Unpack[ModifyVectorStoreOptions]) -> VectorStore:
    return default_client().modify_vector_store(vector_store_id, **options)


@same_docstring(Client.delete_vector_store)
def delete_vector_store(vector_store_id: str, **options: Unpack[CallOptions]) -> VectorStoreDeleted:
    return default_client().delete_vector_store(vector_store_id, **options)


@same_docstring(Client.search_vector_store)
def search_vector_store(
    vector_store_id: str, query: Query, **options: Unpack[SearchVectorStoreOptions]
) -> SearchResults:
    return default_client().search_vector_store(vector_store_id, query, **options)


@same_docstring(Client.create_vector_store_file)
def create_vector_store_file(
    vector_store_id: str, file_id: str, **options: Unpack[CreateVectorStoreFileOptions]
) -> VectorStoreFile:
    return default_client().create_vector_store_file(vector_store_id, file_id, **options)


@same_docstring(Client.get_vector_store_file)
def get_vector_store_file(vector_store_id: str, file_id: str, **options: Unpack[CallOptions]) -> VectorStoreFile:
    return default_client().get_vector_store_file(vector_store_id, file_id, **options)


@same_docstring(Client.list_vector_store_files)
def list_vector_store_files(
    vector_store_id: str, **options: Unpack[VectorStoreFilePageOptions]
) -> Page[VectorStoreFile]:
    return default_client().list_vector_store_files(vector_store_id, **options)


@same_docstring(Client.update_vector_store_file_attributes)
def update_vector_store_file_attributes(
    vector_store_id: str, file_id: str, attributes: Attributes | None, **options: Unpack[StreamedCallOptions]
) -> VectorStoreFile:
    return default_client().update_vector_store_file_attributes(vector_store_id, file_id, attributes, **options)


@same_docstring(Client.delete_vector_store_file)
def delete_vector_store_file(
    vector_store_id: str, file_id: str, **options: Unpack[CallOptions]
) -> VectorStoreFileDeleted:
    return default_client().delete_vector_store_file(vector_store_id, file_id, **options)


@same_docstring(Client.retrieve_vector_store_file_content)
def retrieve_vector_store_file_content(
    vector_store_id: str, file_id: str, **options: Unpack[CallOptions]
) -> VectorStoreFileContent:
    return default_client().retrieve_vector_store_file_content(vector_store_id, file_id, **options)


@same_docstring(Client.create_vector_store_file_batch)
def create_vector_store_file_batch(vector_store_id: str, **options: Unpack[CreateFileBatchOptions]) -> FileBatch:
    return default_client().create_vector_store_file_batch(vector_store_id, **options)


@same_docstring(Client.get_vector_store_file_batch)
def get_vector_store_file_batch(vector_store_id: str, batch_id: str, **options: Unpack[CallOptions]) -> FileBatch:
    return default_client().get_vector_store_file_batch(vector_store_id, batch_id, **options)


@same_docstring(Client.cancel_vector_store_file_batch)
def cancel_vector_store_file_batch(
    vector_store_id: str, batch_id: str, **options: Unpack[StreamedCallOptions]
) -> FileBatch:
    return default_client().cancel_vector_store_file_batch(vector_store_id, batch_id, **options)


@same_docstring(Client.list_files_in_vector_store_batch)
def list_files_in_vector_store_batch(
    vector_store_id: str, batch_id: str, **options: Unpack[VectorStoreFilePageOptions]
) -> Page[VectorStoreFile]:
    return default_client().list_files_in_vector_store_batch(vector_store_id, batch_id, **options)


@same_docstring(Client.wait_for_vector_store)
def wait_for_vector_store(vector_store_id: str, **options: Unpack[WaitForVectorStoreOptions]) -> VectorStore:
    return default_client().wait_for_vector_store(vector_store_id, **options)
