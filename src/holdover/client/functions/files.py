"""Files: functions for the default client."""

from __future__ import annotations

import os
from typing import Unpack

from holdover.wire.files import FileDeleted, FileObject

from ..clients import Client
from ..core import same_docstring
from ..default import default_client
from ..options import CallOptions, CreateFileOptions, FilePageOptions, SaveFileOptions, WaitForFileOptions
from ..pages import Page
from ..uploading import FileInput

__all__ = [
    "create_file",
    "delete_file",
    "download_file",
    "list_files",
    "retrieve_file",
    "save_file",
    "wait_for_file",
]


@same_docstring(Client.create_file)
def create_file(file: FileInput, purpose: str, **options: Unpack[CreateFileOptions]) -> FileObject:
    return default_client().create_file(file, purpose, **options)


@same_docstring(Client.list_files)
def list_files(**options: Unpack[FilePageOptions]) -> Page[FileObject]:
    return default_client().list_files(**options)


@same_docstring(Client.retrieve_file)
def retrieve_file(file_id: str, **options: Unpack[CallOptions]) -> FileObject:
    return default_client().retrieve_file(file_id, **options)


@same_docstring(Client.delete_file)
def delete_file(file_id: str, **options: Unpack[CallOptions]) -> FileDeleted:
    return default_client().delete_file(file_id, **options)


@same_docstring(Client.download_file)
def download_file(file_id: str, **options: Unpack[CallOptions]) -> bytes:
    return default_client().download_file(file_id, **options)


@same_docstring(Client.save_file)
def save_file(file_id: str, path: str | os.PathLike[str], **options: Unpack[SaveFileOptions]) -> int:
    return default_client().save_file(file_id, path, **options)


@same_docstring(Client.wait_for_file)
def wait_for_file(file_id: str, **options: Unpack[WaitForFileOptions]) -> FileObject:
    return default_client().wait_for_file(file_id, **options)
