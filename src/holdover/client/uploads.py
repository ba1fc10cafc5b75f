"""Uploads in parts, as methods of both clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from holdover.errors import BadRequestError
from holdover.wire.uploads import MAX_PART_BYTES, Upload, UploadPart

from .calls import CALL_OPTIONS, call
from .core import AsyncCore, Core, same_docstring
from .exchange import Call, Flow, Target, exchange, run, run_async
from .options import (
    AddUploadPartOptions,
    CompleteUploadOptions,
    CreateUploadOptions,
    StreamedCallOptions,
    UploadInPartsOptions,
)
from .uploading import FileInput, Progress, Source, split


class UploadMethods(Core):
    """Methods of `Client`."""

    def create_upload(
        self, filename: str, purpose: str, bytes: int, mime_type: str, **options: Unpack[CreateUploadOptions]
    ) -> Upload:
        """Begin to upload a file of up to 8 GB in parts.

        Endpoint: ``POST /uploads``

        Args:
            filename: What the file is called.
            purpose: As of `create_file`.
            bytes: How many bytes all parts will have together; up to 8,589,934,592.
            mime_type: The type of its content, ``text/plain`` for one.
            expires_after: As of `create_file`; for the file that it becomes.
            stream_to: Also receives the upload.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            The upload; it is pending for an hour.

        Raises:
            BadRequestError: An option is outside its limits.

        Source: createUpload.
        """
        return self._streamed(options, lambda rest: self._run(_create(filename, purpose, bytes, mime_type, rest)))

    def add_upload_part(self, upload_id: str, data: FileInput, **options: Unpack[AddUploadPartOptions]) -> UploadPart:
        """Add a part of up to 64 MB to an upload.

        Endpoint: ``POST /uploads/{upload_id}/parts``

        Args:
            upload_id: The upload's id.
            data: A path, bytes, or a file that is open for reading in binary. Parts may be added side by side.
            filename: Of no meaning; sent with the bytes.
            on_progress: Called with the bytes that were sent and with all there are, again and again.
            stream_to: Also receives the part.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's;
                ``timeout_s`` bounds each silence.

        Raises:
            NotFoundError: There is no such upload.
            BadRequestError: It has ended, or there would be more bytes than were announced.

        Source: addUploadPart.
        """
        return self._streamed(options, lambda rest: self._run(_add(upload_id, data, rest)))

    def complete_upload(
        self, upload_id: str, part_ids: Sequence[str], **options: Unpack[CompleteUploadOptions]
    ) -> Upload:
        """Make the parts of an upload a file.

        Endpoint: ``POST /uploads/{upload_id}/complete``

        Args:
            upload_id: The upload's id.
            part_ids: The parts in the order of the file.
            md5: What the MD5 of the whole file must be, in hexadecimal.
            stream_to: Also receives the upload.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Returns:
            The upload, with its ``file``.

        Raises:
            NotFoundError: There is no such upload.
            BadRequestError: It has ended, a part is not there, or the bytes are not those that were announced.

        Source: completeUpload.
        """
        return self._streamed(options, lambda rest: self._run(_complete(upload_id, part_ids, rest)))

    def cancel_upload(self, upload_id: str, **options: Unpack[StreamedCallOptions]) -> Upload:
        """Give an upload up; its parts go away.

        Endpoint: ``POST /uploads/{upload_id}/cancel``

        Args:
            upload_id: The upload's id.
            stream_to: Also receives the upload.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no such upload.
            BadRequestError: It has ended.

        Source: cancelUpload.
        """
        return self._streamed(options, lambda rest: self._run(_cancel(upload_id, rest)))

    def upload_in_parts(self, file: FileInput, purpose: str, **options: Unpack[UploadInPartsOptions]) -> Upload:
        """Upload a file of up to 8 GB in parts, one behind the other, and complete the upload.

        Args:
            file: A path, bytes, or a file that is open for reading in binary; never held whole.
            purpose: As of `create_file`.
            filename: What the file is called; the last part of its path otherwise.
            mime_type: The type of its content; told from its name otherwise.
            part_bytes: How large the parts are; 64 MB, the most, if left out.
            md5: What the MD5 of the whole file must be, in hexadecimal.
            expires_after: As of `create_file`.
            on_progress: Called with the bytes that were sent and with all there are, again and again.
            openai_api_key, openai_organization_key, base_url, timeout_s: For these calls instead of the client's.

        Returns:
            The completed upload, with its ``file``.

        Raises:
            BadRequestError: An option is outside its limits, or the file is not what was announced.
            OSError: It cannot be read.
            APIConnectionError: No answer came. The upload goes by itself within the hour.
        """
        return run(_upload(self._target, file, purpose, options), self._transport.send, self._sleep)


class AsyncUploadMethods(AsyncCore):
    """Methods of `AsyncClient`."""

    @same_docstring(UploadMethods.create_upload)
    async def create_upload(
        self, filename: str, purpose: str, bytes: int, mime_type: str, **options: Unpack[CreateUploadOptions]
    ) -> Upload:
        return await self._streamed(options, lambda rest: self._run(_create(filename, purpose, bytes, mime_type, rest)))

    @same_docstring(UploadMethods.add_upload_part)
    async def add_upload_part(
        self, upload_id: str, data: FileInput, **options: Unpack[AddUploadPartOptions]
    ) -> UploadPart:
        return await self._streamed(options, lambda rest: self._run(_add(upload_id, data, rest)))

    @same_docstring(UploadMethods.complete_upload)
    async def complete_upload(
        self, upload_id: str, part_ids: Sequence[str], **options: Unpack[CompleteUploadOptions]
    ) -> Upload:
        return await self._streamed(options, lambda rest: self._run(_complete(upload_id, part_ids, rest)))

    @same_docstring(UploadMethods.cancel_upload)
    async def cancel_upload(self, upload_id: str, **options: Unpack[StreamedCallOptions]) -> Upload:
        return await self._streamed(options, lambda rest: self._run(_cancel(upload_id, rest)))

    @same_docstring(UploadMethods.upload_in_parts)
    async def upload_in_parts(self, file: FileInput, purpose: str, **options: Unpack[UploadInPartsOptions]) -> Upload:
        return await run_async(_upload(self._target, file, purpose, options), self._transport.send, self._sleep)


def _create(filename: str, purpose: str, size: int, mime_type: str, options: Mapping[str, Any]) -> Call[Upload]:
    given = {"filename": filename, "purpose": purpose, "bytes": size, "mime_type": mime_type}
    return call("create_upload", reply=Upload, options=options, given=given)


def _add(upload_id: str, data: FileInput | Source, options: Mapping[str, Any]) -> Call[UploadPart]:
    of_form, rest = split(options)
    source = data if isinstance(data, Source) else Source(data, filename=of_form.filename)
    return call(
        "add_upload_part",
        upload_id,
        reply=UploadPart,
        options=rest,
        file=source,
        on_progress=of_form.on_progress,
    )


def _complete(upload_id: str, part_ids: Sequence[str], options: Mapping[str, Any]) -> Call[Upload]:
    return call("complete_upload", upload_id, reply=Upload, options=options, given={"part_ids": part_ids})


def _cancel(upload_id: str, options: Mapping[str, Any]) -> Call[Upload]:
    return call("cancel_upload", upload_id, reply=Upload, options=options)


def _upload(target: Target, file: FileInput, purpose: str, options: Mapping[str, Any]) -> Flow[Upload]:
    """Create an upload, add the parts, complete it."""
    wishes = dict(options)
    every_call = {name: wishes.pop(name) for name in CALL_OPTIONS if name in wishes}
    source = Source(file, filename=wishes.pop("filename", None))
    on_progress: Progress | None = wishes.pop("on_progress", None)
    md5: str | None = wishes.pop("md5", None)
    part_bytes: int = wishes.pop("part_bytes", None) or MAX_PART_BYTES
    if not 0 < part_bytes <= MAX_PART_BYTES:
        raise BadRequestError(f"part_bytes is 1 to {MAX_PART_BYTES}.", param="part_bytes")
    mime_type: str = wishes.pop("mime_type", None) or _guessed(source.filename)
    begin = _create(source.filename, purpose, source.length, mime_type, {**wishes, **every_call})
    upload = yield from exchange(target, begin)
    part_ids = []
    for start in range(0, source.length, part_bytes):
        of_part = {**every_call, "on_progress": _from(start, source.length, on_progress)}
        part = yield from exchange(target, _add(upload.id, source.part(start, part_bytes), of_part))
        part_ids.append(part.id)
    return (yield from exchange(target, _complete(upload.id, part_ids, {**every_call, "md5": md5})))


def _from(start: int, total: int, on_progress: Progress | None) -> Progress | None:
    """Return what tells of the whole while a part is sent."""
    if on_progress is None:
        return None
    return lambda sent, _: on_progress(start + sent, total)


def _guessed(filename: str) -> str:
    from mimetypes import guess_type

    return guess_type(filename)[0] or "application/octet-stream"
