"""Uploads: what may follow what, and the operations.

    pending ── complete ──▶ completed      its parts have become a file
       │────── cancel ────▶ cancelled      its parts are gone
       └────── expire ────▶ expired        an hour after it was created

Nothing follows an end. What has ended is remembered for a while, so that whoever asks too late is told so.

Source: createUpload, addUploadPart, completeUpload, cancelUpload; the reference says that the bytes must add up and
that no part may be added after the end. Texts of refusals are our own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Literal

import msgspec

from holdover import telemetry
from holdover.errors import BadRequestError, InternalServerError
from holdover.store.protocol import FileColumns, NewObject, Part, UploadChange, UploadRow
from holdover.wire import ids
from holdover.wire.files import ExpiresAfter, expiry
from holdover.wire.uploads import (
    LIFETIME_S,
    MAX_PARTS,
    MAX_UPLOAD_BYTES,
    AddUploadPart,
    CancelUpload,
    CompleteUpload,
    CreateUpload,
    Upload,
    UploadPart,
)

from .core import RetryKey, deadline_kept, encode, not_found, repeatable
from .files import BATCH, FileOperations, Received, new_file

#: For how long an upload that has ended is remembered, in seconds.
REMEMBERED_S = 30 * 24 * 60 * 60
#: How often what has expired is looked for, in seconds; and in which of these rounds bytes that no row names.
SWEEP_S = 60.0
ROUNDS_OF_BYTES = 15


class Aside(msgspec.Struct, frozen=True):
    """What is kept beside an upload and never sent."""

    mime_type: str
    expires_after: ExpiresAfter | None = None


def check_pending(upload: Upload, now: float) -> None:
    """Refuse an upload that has ended.

    Raises:
        BadRequestError: It is completed, cancelled or expired.
    """
    status = "expired" if upload.status == "pending" and upload.expires_at <= now else upload.status
    if status != "pending":
        raise BadRequestError(
            f"Upload {upload.id} is {status}; only a pending one can be changed.", code="invalid_state"
        )


def with_part(row: UploadRow, part: NewObject) -> UploadChange:
    """Return an upload with one more part.

    Raises:
        BadRequestError: It has ended, or there would be too many bytes or parts.
    """
    upload = _decode(row.document)
    check_pending(upload, row.now)
    assert part.file is not None
    total = sum(each.bytes for each in row.parts) + part.file.bytes
    if total > upload.bytes:
        raise BadRequestError(
            f"The parts of upload {upload.id} would come to {total} bytes, but {upload.bytes} were announced.",
            param="data",
            code="invalid_value",
        )
    if len(row.parts) >= MAX_PARTS:
        raise BadRequestError(f"An upload may have up to {MAX_PARTS} parts.", param="data", code="invalid_value")
    return UploadChange(document=row.document, expires_at=upload.expires_at, added=[part], reply=part.document)


def chosen(upload: Upload, parts: Sequence[Part], part_ids: Sequence[str]) -> list[Part]:
    """Return the parts that a file is made of, in its order.

    Raises:
        BadRequestError: One is not there, or they are not as many bytes as were announced.
    """
    by_id = {each.id: each for each in parts}
    for index, each in enumerate(part_ids):
        if each not in by_id:
            raise BadRequestError(
                f"Invalid 'part_ids[{index}]': upload {upload.id} has no part '{each[:64]}'.",
                param=f"part_ids[{index}]",
                code="invalid_value",
            )
    ordered = [by_id[each] for each in part_ids]
    total = sum(each.bytes for each in ordered)
    if total != upload.bytes:
        raise BadRequestError(
            f"The parts of upload {upload.id} come to {total} bytes, but {upload.bytes} were announced.",
            param="part_ids",
            code="invalid_value",
        )
    return ordered


def ended(row: UploadRow, status: Literal["cancelled", "expired"]) -> UploadChange:
    """Return an upload that ends without a file.

    Raises:
        BadRequestError: It has ended already.
    """
    upload = _decode(row.document)
    if status == "expired":
        if upload.status != "pending" or upload.expires_at > row.now:
            raise BadRequestError(f"Upload {upload.id} does not expire.")
    else:
        check_pending(upload, row.now)
    document = encode(msgspec.structs.replace(upload, status=status))
    return UploadChange(document=document, expires_at=row.now + REMEMBERED_S, drops_parts=True)


class UploadOperations(FileOperations):
    """The operations on uploads."""

    async def create_upload(self, body: CreateUpload, retry_key: RetryKey | None = None) -> bytes:
        """Begin an upload.

        Raises:
            BadRequestError: The retry key came with another body before.
        """
        now = self._now()
        upload = Upload(
            id=ids.new_upload_id("upload", self._entropy),
            bytes=body.bytes,
            created_at=now,
            filename=body.filename,
            purpose=body.purpose,
            expires_at=now + LIFETIME_S,
        )
        document = encode(upload)
        stored = NewObject(
            kind="upload",
            id=upload.id,
            created_at=now,
            document=document,
            extra=encode(Aside(body.mime_type, body.expires_after or None)),
            file=FileColumns(bytes=upload.bytes, purpose=upload.purpose, expires_at=upload.expires_at),
        )
        return await self._store.create(
            [stored], reply=document, repeatable=repeatable("create_upload", retry_key, now)
        )

    async def add_upload_part(
        self, upload_id: str, data: Received, body: AddUploadPart, retry_key: RetryKey | None = None
    ) -> bytes:
        """Add a part to an upload.

        Raises:
            NotFoundError: There is no such upload.
            BadRequestError: It has ended, or more bytes came than were announced.
        """
        now = self._now()
        part = UploadPart(id=ids.new_upload_id("upload_part", self._entropy), created_at=now, upload_id=upload_id)
        stored = NewObject(
            kind="upload_part",
            id=part.id,
            created_at=now,
            document=encode(part),
            owner=upload_id,
            file=FileColumns(digest=data.blob.digest, bytes=data.blob.bytes, deadline=data.deadline),
        )
        with deadline_kept():
            reply = await self._store.change_upload(
                upload_id,
                lambda row: with_part(row, stored),
                repeatable=repeatable(f"add_upload_part {upload_id}", retry_key, now),
            )
        if reply is None:
            raise not_found("upload", upload_id)
        return reply

    async def complete_upload(self, upload_id: str, body: CompleteUpload, retry_key: RetryKey | None = None) -> bytes:
        """Make the parts of an upload a file, in the order in which they are named.

        Its bytes are copied once. What was decided before that is decided again afterwards, with the row in hand: of
        two that complete an upload at the same time, one comes first.

        Raises:
            NotFoundError: There is no such upload.
            BadRequestError: It has ended, the parts are not those of the upload, their bytes are not as many as were
                announced, or have another MD5.
        """
        now = self._now()
        again = repeatable(f"complete_upload {upload_id}", retry_key, now)
        upload = _decode(await self._document("upload", upload_id))
        if upload.status == "pending":
            received = await self._assembled(upload, body)
        else:
            received = None  # it may have been completed by this very request, whose answer was lost

        def change(row: UploadRow) -> UploadChange:
            upload, aside = _decode(row.document), _decode_aside(row.extra or b"")
            check_pending(upload, row.now)
            chosen(upload, row.parts, body.part_ids)
            assert received is not None  # no upload becomes pending
            file, stored = new_file(
                id=file_id,
                filename=upload.filename,
                purpose=upload.purpose,
                received=received,
                created_at=upload.created_at,
                expires_at=expiry(upload.purpose, aside.expires_after, upload.created_at),
            )
            document = encode(msgspec.structs.replace(upload, status="completed", file=file))
            return UploadChange(document=document, expires_at=row.now + REMEMBERED_S, added=[stored], drops_parts=True)

        file_id = self._new_id("file")
        with deadline_kept():
            reply = await self._store.change_upload(upload_id, change, repeatable=again)
        if reply is None:
            raise not_found("upload", upload_id)
        return reply

    async def _assembled(self, upload: Upload, body: CompleteUpload) -> Received:
        """Put the parts of an upload one behind the other.

        Raises:
            BadRequestError: They do not fit the upload, or the MD5 that was told.
        """
        check_pending(upload, self._store.now())
        parts = chosen(upload, await self._store.list_parts(upload.id), body.part_ids)

        async def content() -> AsyncIterator[bytes]:
            for each in parts:
                async for block in self._blobs.read(each.digest):
                    yield block

        received = await self.receive(upload.filename, content(), limit_bytes=MAX_UPLOAD_BYTES)
        if body.md5 and body.md5.lower() != received.blob.md5:
            raise BadRequestError(
                f"The MD5 of the file is {received.blob.md5}, but {body.md5.lower()} was expected.",
                param="md5",
                code="invalid_value",
            )
        return received

    async def cancel_upload(self, upload_id: str, body: CancelUpload) -> bytes:
        """Give an upload up.

        Raises:
            NotFoundError: There is no such upload.
            BadRequestError: It has ended.
        """
        reply = await self._store.change_upload(upload_id, lambda row: ended(row, "cancelled"))
        if reply is None:
            raise not_found("upload", upload_id)
        return reply

    async def _expire_uploads(self) -> None:
        """End the uploads whose hour is over, and forget those that ended long ago."""
        while due := await self._store.list_expired("upload", BATCH):
            for each in due:
                document = await self._store.get("upload", each)
                if document is not None and _decode(document).status != "pending":
                    await self._store.delete("upload", each)
                    continue
                try:
                    await self._store.change_upload(each, lambda row: ended(row, "expired"))
                except BadRequestError:
                    continue  # another process was quicker

    # The sweep

    async def sweep(self, *, bytes_too: bool = True) -> None:
        """Take away files and uploads that are past their expiry, and (``bytes_too``) bytes that no row names."""
        await self._expire_files()
        await self._expire_uploads()
        if bytes_too:
            await self._sweep_bytes()

    async def _sweep_for_ever(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        rounds = 0
        while True:
            try:
                await self.sweep(bytes_too=rounds % ROUNDS_OF_BYTES == 0)
            except InternalServerError as error:
                telemetry.emit("store.failure", error=error)  # the next round may do better
            except Exception as error:  # whatever it is: it must not end here and unseen
                telemetry.emit("server.failure", request_id="the sweep of files", error=error)
            rounds += 1
            await sleep(SWEEP_S)


_decode = msgspec.json.Decoder(Upload).decode
_decode_aside = msgspec.json.Decoder(Aside).decode
