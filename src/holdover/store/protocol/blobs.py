"""What the engine asks of whoever keeps the bytes of files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

#: For how long bytes that came are left alone by the sweep, in seconds.
GRACE_S = 3600.0
#: For how long after they came bytes may be named, in seconds.
DEADLINE_S = 1800.0


class Blob(msgspec.Struct, frozen=True):
    """Bytes that were received: their SHA-256, how many they are, and their MD5; both digests in hexadecimal."""

    digest: str
    bytes: int
    md5: str


class TooManyBytes(Exception):
    """More bytes came than were to be taken; nothing is kept of them."""


class Blobs(Protocol):
    """Keeps bytes. All methods may be called from one event loop only."""

    async def receive(self, parts: AsyncIterator[bytes], *, limit_bytes: int) -> Blob:
        """Take bytes as they come; they are durable when this returns. Whatever ``parts`` raises is raised here.

        Raises:
            TooManyBytes: There are more than ``limit_bytes``.
            InternalServerError: They could not be written.
        """

    def read(self, digest: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Give bytes in blocks, from ``start`` up to and without ``end``. Close the iterator that is not used up.

        Raises:
            InternalServerError: They are not there, or cannot be read.
        """

    def local(self, digest: str) -> AbstractAsyncContextManager[str]:
        """Lend a path at which the bytes can be read by another process; nobody may write there.

        Raises:
            InternalServerError: They are not there.
        """

    def settled(self) -> AsyncIterator[Sequence[str]]:
        """Give the digests of bytes that came longer ago than `GRACE_S`, in batches; drop what the dead left half-way.

        Raises:
            InternalServerError: They cannot be listed.
        """

    async def delete(self, digest: str) -> None:
        """Take away bytes that no row names, unless they came within `GRACE_S`. For the sweep only."""

    async def close(self) -> None:
        """End."""
