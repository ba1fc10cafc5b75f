"""The tables, which have the same names in every database."""

from __future__ import annotations

from .protocol import Kind

#: Marks a database as ours ("HoLd"), so that another program's is not taken for one.
APPLICATION_ID = 0x486F4C64

TABLES: dict[Kind, str] = {
    "assistant": "assistants",
    "vector_store": "vector_stores",
    "thread": "threads",
    "message": "messages",
    "run": "runs",
    "step": "steps",
    "file": "files",
    "upload": "uploads",
    "upload_part": "upload_parts",
    "vector_store_file": "vector_store_files",
    "batch": "file_batches",
}

#: Kinds of which something has bytes, or is to have.
FILE_KINDS: tuple[Kind, ...] = ("file", "upload", "upload_part")

#: By kinds whose objects name files (`FILE_USERS`): the table that says which.
FILES_OF: dict[Kind, str] = {"assistant": "assistant_files", "thread": "thread_files"}

#: What the place of a deleted object is found by, where that is not its id: files are in many vector stores.
PLACES: dict[Kind, str] = {"vector_store_file": ":owner || '/' || :id"}


def place(kind: Kind) -> str:
    """Return what the place of a deleted object of a kind is found by, for ``{place}`` in a statement."""
    return PLACES.get(kind, ":id")
