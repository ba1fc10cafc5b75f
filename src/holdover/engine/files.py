"""Files: the rules, the operations, and the sweep that takes away what has expired and bytes that no row names.

Source: createFile, listFiles, retrieveFile, deleteFile and downloadFile; texts and echoes are those of the recordings.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from holdover import telemetry
from holdover.errors import APIStatusError, BadRequestError
from holdover.store.protocol import DEADLINE_S, Blob, Blobs, FileColumns, Kind, NewObject, TooManyBytes
from holdover.wire.assistants import Assistant
from holdover.wire.files import MAX_FILENAME_CHARS, MAX_LIMIT, CreateFile, FileDeleted, FileObject, FileQuery, expiry
from holdover.wire.record import UNSET
from holdover.wire.refusals import shortened
from holdover.wire.threads import Thread
from holdover.wire.tools import CodeInterpreterResources, ToolResources

from .core import Core, RetryKey, deadline_kept, encode, not_found, repeatable

#: What a file is called whose name is not told.
NAMELESS = "upload"
#: How many files and uploads that are past their expiry are looked at together.
BATCH = 100


class Received(msgspec.Struct, frozen=True):
    """Bytes that came and that no row names yet.

    Attributes:
        filename: What the caller calls them, or ``None``.
        deadline: The database's time until which they may be named.
    """

    blob: Blob
    filename: str | None
    deadline: float


class FileContent(msgspec.Struct, frozen=True):
    """The content of a file: what it is called, how many bytes it is, and how these are read.

    ``read`` takes where to begin and, perhaps, where to end (``start`` and ``end``), and gives blocks.
    """

    filename: str
    size_bytes: int
    read: Callable[..., AsyncIterator[bytes]]


def new_file(
    *, id: str, filename: str, purpose: str, received: Received, created_at: int, expires_at: int | None
) -> tuple[FileObject, NewObject]:
    """Return a file, and the same as the store takes it."""
    file = FileObject(
        id=id,
        purpose=purpose,
        filename=filename,
        bytes=received.blob.bytes,
        created_at=created_at,
        expires_at=expires_at,
    )
    columns = FileColumns(
        digest=received.blob.digest,
        bytes=received.blob.bytes,
        purpose=purpose,
        expires_at=expires_at,
        deadline=received.deadline,
    )
    return file, NewObject(kind="file", id=id, created_at=created_at, document=encode(file), file=columns)


def label(filename: str | None) -> str:
    """Return what a file is called, checked.

    Raises:
        BadRequestError: It is empty, too long, or has a character that cannot be stored.
    """
    if filename is None:
        return NAMELESS
    if not filename or "\0" in filename or len(filename) > MAX_FILENAME_CHARS:
        raise BadRequestError(
            f"Invalid file name: '{shortened(filename.replace(chr(0), ''))}'. Expected 1 to {MAX_FILENAME_CHARS} "
            "characters, and no NUL among them.",
            param="file",
        )
    try:
        filename.encode()
    except UnicodeEncodeError:
        raise BadRequestError("Invalid file name: it holds half of a character.", param="file") from None
    return filename


def without_file(file_id: str) -> Callable[[Kind, bytes], bytes]:
    """Return what takes a file out of an assistant's or a thread's code interpreter list."""

    def without(kind: Kind, document: bytes) -> bytes:
        named: Assistant | Thread = _DECODERS[kind](document)
        resources = named.tool_resources or ToolResources()
        interpreter = resources.code_interpreter or CodeInterpreterResources()
        left = [each for each in interpreter.file_ids or () if each != file_id]
        settled = msgspec.structs.replace(resources, code_interpreter=CodeInterpreterResources(file_ids=left))
        if kind == "thread" and not left:
            settled = msgspec.structs.replace(settled, code_interpreter=UNSET)  # as of one that never had any
        return encode(msgspec.structs.replace(named, tool_resources=settled))

    return without


_DECODERS: dict[str, Callable[[bytes], Any]] = {
    "assistant": msgspec.json.Decoder(Assistant).decode,
    "thread": msgspec.json.Decoder(Thread).decode,
}


class FileOperations(Core):
    """The operations on files."""

    _blobs: Blobs

    async def receive(self, filename: str | None, parts: AsyncIterator[bytes], *, limit_bytes: int) -> Received:
        """Keep bytes as they come, for an operation that is about to name them.

        Raises:
            APIStatusError: They are too many (413).
        """
        came_at = 0.0

        async def watched() -> AsyncIterator[bytes]:
            nonlocal came_at
            async for part in parts:
                yield part
            came_at = self._store.now()  # before they are stamped: then the deadline is never too late

        try:
            blob = await self._blobs.receive(watched(), limit_bytes=limit_bytes)
        except TooManyBytes:
            raise too_large(limit_bytes) from None
        return Received(blob, filename, came_at + DEADLINE_S)

    async def create_file(self, file: Received, body: CreateFile, retry_key: RetryKey | None = None) -> bytes:
        """Make a file of bytes that were received.

        Raises:
            BadRequestError: Its name cannot be stored, or the retry key came with another file before.
        """
        now = self._now()
        made, stored = new_file(
            id=self._new_id("file"),
            filename=label(file.filename),
            purpose=body.purpose,
            received=file,
            created_at=now,
            expires_at=expiry(body.purpose, body.expires_after, now),
        )
        with deadline_kept():
            return await self._store.create(
                [stored], reply=encode(made), repeatable=repeatable("create_file", retry_key, now)
            )

    async def list_files(self, query: FileQuery) -> bytes:
        """Return a page of files.

        Raises:
            NotFoundError: The cursor is not the id of any file, present or deleted.
        """
        return await self._page("file", query, default_limit=MAX_LIMIT, purpose=query.purpose or None)

    async def retrieve_file(self, file_id: str) -> bytes:
        """Return what is known of a file.

        Raises:
            NotFoundError: There is none with this id.
        """
        return await self._document("file", file_id)

    async def delete_file(self, file_id: str) -> bytes:
        """Delete a file, and take it out of all that names it.

        Raises:
            NotFoundError: There is none with this id.
        """
        if not await self._store.delete_file(file_id, without_file(file_id)):
            raise not_found("file", file_id)
        return encode(FileDeleted(id=file_id))

    async def download_file(self, file_id: str) -> FileContent:
        """Return the content of a file.

        Raises:
            NotFoundError: There is none with this id.
        """
        found = await self._store.find_file(file_id)
        if found is None:
            raise not_found("file", file_id)
        document, digest = found
        file = _decode(document)

        def read(start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
            return self._blobs.read(digest, start=start, end=end)

        return FileContent(file.filename, file.bytes, read)

    # The sweep

    async def _expire_files(self) -> None:
        """Delete the files that are past their expiry."""
        while expired := await self._store.list_expired("file", BATCH):
            for each in expired:
                await self._store.delete_file(each, without_file(each))

    async def _sweep_bytes(self) -> None:
        """Take away bytes that no row names. Read ``store/blobs.py``, which says why none is taken too early."""
        dropped = 0
        async for digests in self._blobs.settled():
            named = await self._store.named_digests(digests)
            for digest in digests:
                if digest not in named:
                    await self._blobs.delete(digest)
                    dropped += 1
        telemetry.emit("files.sweep", dropped=dropped)


def too_large(limit_bytes: int) -> APIStatusError:
    """Return the error for a file, or a part of one, that has too many bytes."""
    return APIStatusError(
        f"The file is too large: it may have up to {limit_bytes} bytes.",
        status=413,
        code="file_too_large",
    )


_decode = msgspec.json.Decoder(FileObject).decode
