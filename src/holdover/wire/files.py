"""Files: the object, the fields of the form that uploads one, the query that lists them.

Source: createFile, listFiles, deleteFile and OpenAIFile of the published reference; the recorded exchanges where the
two differ.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from msgspec import Meta

from .pages import Order
from .record import UNSET, Record, UnsetType

#: What a caller may say that a file is for, in the order in which the hosted API lists it.
Purpose = Literal["fine-tune", "assistants", "batch", "user_data", "vision", "evals"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)

MAX_FILE_BYTES = 512 * 1024 * 1024
MAX_FILENAME_CHARS = 1024
MAX_LIMIT = 10_000
#: Files for batches go by themselves after 30 days, unless something else is said.
BATCH_LIFETIME_S = 30 * 24 * 60 * 60

Filename = Annotated[str, Meta(min_length=1, max_length=MAX_FILENAME_CHARS)]


class FileObject(Record, frozen=True, kw_only=True):
    """A file; its name is a label, which names no place on any disk, and times are Unix seconds."""

    _shown = ("id", "filename", "bytes", "purpose")

    object: Literal["file"] = "file"
    id: str
    purpose: str
    filename: str
    bytes: int
    created_at: int
    expires_at: int | None = None
    status: Literal["uploaded", "processed", "error"] = "processed"
    status_details: str | None = None


class FileDeleted(Record, frozen=True, kw_only=True):
    """The answer to a deletion."""

    object: Literal["file"] = "file"
    deleted: bool = True
    id: str


class ExpiresAfter(Record, frozen=True, kw_only=True):
    """When a file goes by itself: 3,600 to 2,592,000 seconds (an hour to 30 days) after it was made."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Meta(ge=3600, le=2_592_000)]


class CreateFile(Record, frozen=True, kw_only=True):
    """Fields of createFile's form, beside the file itself."""

    purpose: Purpose
    expires_after: ExpiresAfter | UnsetType = UNSET


class FileQuery(Record, frozen=True, kw_only=True):
    """Which page of the files is wanted: up to 10,000, of all purposes or of one."""

    after: str | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] | UnsetType = UNSET
    order: Order | UnsetType = UNSET
    purpose: str | UnsetType = UNSET


def expiry(purpose: str, expires_after: ExpiresAfter | UnsetType | None, created_at: int) -> int | None:
    """Return when a file goes by itself, in Unix seconds; ``None``: never."""
    if expires_after:
        return created_at + expires_after.seconds
    return created_at + BATCH_LIFETIME_S if purpose == "batch" else None
