"""Files and uploads: what is read of an upload, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .objects import NewObject


class Part(msgspec.Struct, frozen=True):
    """A part of an upload: where its bytes are found, and how many they are."""

    id: str
    digest: str
    bytes: int


class UploadRow(msgspec.Struct, frozen=True, kw_only=True):
    """An upload as the store has it, read inside the transaction that is to change it. ``parts`` are in no order."""

    document: bytes
    extra: bytes | None
    parts: Sequence[Part]
    now: float


class UploadChange(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of an upload, and what is written with it in the same transaction.

    Attributes:
        document, expires_at: Its new ones.
        added: A part, or the file that it came to.
        drops_parts: Whether its parts go away.
        reply: What the request is answered with; the upload's document otherwise.
    """

    document: bytes
    expires_at: float | None
    added: Sequence[NewObject] = ()
    drops_parts: bool = False
    reply: bytes | None = None
