"""Uploads in parts: functions for the default client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from holdover.wire.uploads import Upload, UploadPart

from ..clients import Client
from ..core import same_docstring
from ..default import default_client
from ..options import (
    AddUploadPartOptions,
    CompleteUploadOptions,
    CreateUploadOptions,
    StreamedCallOptions,
    UploadInPartsOptions,
)
from ..uploading import FileInput

__all__ = ["add_upload_part", "cancel_upload", "complete_upload", "create_upload", "upload_in_parts"]


@same_docstring(Client.create_upload)
def create_upload(
    filename: str, purpose: str, bytes: int, mime_type: str, **options: Unpack[CreateUploadOptions]
) -> Upload:
    return default_client().create_upload(filename, purpose, bytes, mime_type, **options)


@same_docstring(Client.add_upload_part)
def add_upload_part(upload_id: str, data: FileInput, **options: Unpack[AddUploadPartOptions]) -> UploadPart:
    return default_client().add_upload_part(upload_id, data, **options)


@same_docstring(Client.complete_upload)
def complete_upload(upload_id: str, part_ids: Sequence[str], **options: Unpack[CompleteUploadOptions]) -> Upload:
    return default_client().complete_upload(upload_id, part_ids, **options)


@same_docstring(Client.cancel_upload)
def cancel_upload(upload_id: str, **options: Unpack[StreamedCallOptions]) -> Upload:
    return default_client().cancel_upload(upload_id, **options)


@same_docstring(Client.upload_in_parts)
def upload_in_parts(file: FileInput, purpose: str, **options: Unpack[UploadInPartsOptions]) -> Upload:
    return default_client().upload_in_parts(file, purpose, **options)
