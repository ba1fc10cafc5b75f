"""Uploads: a large file that comes in parts, in any order and side by side.

Source: createUpload, addUploadPart, completeUpload and cancelUpload of the published reference; the recorded exchanges.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from .files import ExpiresAfter, Filename, FileObject, Purpose
from .record import UNSET, Record, UnsetType

MAX_UPLOAD_BYTES = 8 * 1024**3
MAX_PART_BYTES = 64 * 1024 * 1024
#: Parts of an upload; the largest, cut in parts of the largest size, has 128.
MAX_PARTS = 10_000
#: An upload that is not completed within an hour expires.
LIFETIME_S = 60 * 60

#: In hexadecimal. The look-ahead refuses a newline that ``$`` would let pass in Python.
MD5 = Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{32}(?!\n)$")]
UploadStatus = Literal["pending", "completed", "cancelled", "expired"]


class Upload(Record, frozen=True, kw_only=True):
    """An upload; ``file`` is there once it is completed, and times are Unix seconds."""

    _shown = ("id", "filename", "status")

    id: str
    object: Literal["upload"] = "upload"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: UploadStatus = "pending"
    expires_at: int
    file: FileObject | UnsetType = UNSET


class UploadPart(Record, frozen=True, kw_only=True):
    """A part of an upload."""

    id: str
    object: Literal["upload.part"] = "upload.part"
    created_at: int
    upload_id: str


class CreateUpload(Record, frozen=True, kw_only=True):
    """Body of createUpload: what is to come; ``bytes`` is 1 to 8,589,934,592 (8 GB)."""

    filename: Filename
    purpose: Purpose
    bytes: Annotated[int, Meta(ge=1, le=MAX_UPLOAD_BYTES)]
    mime_type: Annotated[str, Meta(max_length=256)]
    expires_after: ExpiresAfter | UnsetType = UNSET


class AddUploadPart(Record, frozen=True, kw_only=True):
    """Fields of addUploadPart's form, beside the bytes themselves: none."""


class CompleteUpload(Record, frozen=True, kw_only=True):
    """Body of completeUpload: the parts in the order of the file, and what the MD5 of the whole must be."""

    part_ids: Annotated[list[str], Meta(min_length=1, max_length=MAX_PARTS)]
    md5: MD5 | None | UnsetType = UNSET


class CancelUpload(Record, frozen=True, kw_only=True):
    """Body of cancelUpload: none, or nothing in it."""
