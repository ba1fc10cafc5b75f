"""Files, as methods of both clients."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Unpack

from holdover.wire.files import FileDeleted, FileObject
from holdover.wire.pages import ListPage

from .calls import call
from .core import AsyncCore, Core, same_docstring
from .exchange import Call, Flow, Pause, Target, decoded, exchange, exchange_raw, run, run_async
from .options import CallOptions, CreateFileOptions, FilePageOptions, SaveFileOptions, WaitForFileOptions
from .pages import AsyncPage, Page
from .transports import AsyncIncoming, AsyncTransport, Incoming, Request, Response, Transport
from .uploading import FileInput, Progress, Source, split

#: Between two questions how a file is, in seconds, where the caller does not say.
POLL_INTERVAL_S = 1.0
#: Statuses of a file that is still looked at.
UNDER_WAY = ("uploaded",)


class FileMethods(Core):
    """Methods of `Client`."""

    def create_file(self, file: FileInput, purpose: str, **options: Unpack[CreateFileOptions]) -> FileObject:
        """Upload a file of up to 512 MB.

        Endpoint: ``POST /files``

        Args:
            file: A path, bytes, or a file that is open for reading in binary; sent as it is read, never held whole.
            purpose: ``assistants``, ``vision``, ``batch``, ``fine-tune``, ``user_data`` or ``evals``.
            expires_after: ``{"anchor": "created_at", "seconds": 3600}``: an hour to 30 days (2,592,000 seconds).
            filename: What the file is called; the last part of its path otherwise.
            on_progress: Called with the bytes that were sent and with all there are, again and again.
            stream_to: Also receives the file: a function or a queue (`holdover.Data`, then `holdover.Finish`).
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's;
                ``timeout_s`` bounds each silence.

        Returns:
            The file. A call that is repeated after trouble makes one file only.

        Raises:
            BadRequestError: There is no such purpose, or an option is outside its limits.
            APIStatusError: The file is too large (413); refused before anything is sent.
            OSError: It cannot be read.
            APIConnectionError: No answer came.

        Source: createFile.
        """
        return self._streamed(options, lambda rest: self._run(_create(file, purpose, rest)))

    def list_files(self, **options: Unpack[FilePageOptions]) -> Page[FileObject]:
        """Return a list of files, page by page.

        Endpoint: ``GET /files``

        Args:
            after: Begin behind this file.
            limit: 1 to 10,000 files a page; 10,000 if left out.
            order: ``"desc"`` (newest first) or ``"asc"``.
            purpose: Only files of this purpose.
            stream_to: Also receives every file, page after page.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: ``after`` is not the id of any file.

        Source: listFiles.
        """
        return self._streamed_pages(options, self._page_of_files)

    def _page_of_files(self, options: Mapping[str, Any]) -> Page[FileObject]:
        return Page(self._run(_list(options)), options, self._page_of_files)

    def retrieve_file(self, file_id: str, **options: Unpack[CallOptions]) -> FileObject:
        """Retrieve what is known of a file.

        Endpoint: ``GET /files/{file_id}``

        Args:
            file_id: The file's id.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no file with this id.

        Source: retrieveFile.
        """
        return self._run(call("retrieve_file", file_id, reply=FileObject, options=options))

    def delete_file(self, file_id: str, **options: Unpack[CallOptions]) -> FileDeleted:
        """Delete a file, and take it out of all that names it.

        Endpoint: ``DELETE /files/{file_id}``

        Args:
            file_id: The file's id.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no file with this id.

        Source: deleteFile.
        """
        return self._run(call("delete_file", file_id, reply=FileDeleted, options=options))

    def download_file(self, file_id: str, **options: Unpack[CallOptions]) -> bytes:
        """Return the content of a file.

        Endpoint: ``GET /files/{file_id}/content``

        Args:
            file_id: The file's id. Its content is held in memory; `save_file` writes a large one to the disk.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's.

        Raises:
            NotFoundError: There is no file with this id.

        Source: downloadFile.
        """
        return self._run(call("download_file", file_id, reply=bytes, options=options))

    def save_file(self, file_id: str, path: str | os.PathLike[str], **options: Unpack[SaveFileOptions]) -> int:
        """Write the content of a file to the disk as it comes; return how many bytes it is.

        Args:
            file_id: The file's id.
            path: Where to; what is there already is replaced once everything has come.
            on_progress: Called with the bytes that came and with all there are, again and again.
            openai_api_key, openai_organization_key, base_url, timeout_s: For this call instead of the client's;
                ``timeout_s`` bounds each silence.

        Raises:
            NotFoundError: There is no file with this id.
            OSError: It cannot be written.
        """
        saving = _Saving(path, options)
        answer = run(exchange_raw(self._target, saving.call(file_id)), saving.sending(self._transport), self._sleep)
        return saving.finish(self._target, answer)

    def wait_for_file(self, file_id: str, **options: Unpack[WaitForFileOptions]) -> FileObject:
        """Wait until a file is processed, or cannot be; Holdover's own service has nothing to process.

        Args:
            file_id: The file's id.
            poll_interval_s: Between two questions; a second if left out.
            openai_api_key, openai_organization_key, base_url, timeout_s: For these calls instead of the client's;
                ``timeout_s`` bounds each of them, not the wait.

        Raises:
            NotFoundError: There is no file with this id.
        """
        return run(_wait(self._target, file_id, options), self._transport.send, self._sleep)


class AsyncFileMethods(AsyncCore):
    """Methods of `AsyncClient`."""

    @same_docstring(FileMethods.create_file)
    async def create_file(self, file: FileInput, purpose: str, **options: Unpack[CreateFileOptions]) -> FileObject:
        return await self._streamed(options, lambda rest: self._run(_create(file, purpose, rest)))

    @same_docstring(FileMethods.list_files)
    async def list_files(self, **options: Unpack[FilePageOptions]) -> AsyncPage[FileObject]:
        return await self._streamed_pages(options, self._page_of_files)

    async def _page_of_files(self, options: Mapping[str, Any]) -> AsyncPage[FileObject]:
        return AsyncPage(await self._run(_list(options)), options, self._page_of_files)

    @same_docstring(FileMethods.retrieve_file)
    async def retrieve_file(self, file_id: str, **options: Unpack[CallOptions]) -> FileObject:
        return await self._run(call("retrieve_file", file_id, reply=FileObject, options=options))

    @same_docstring(FileMethods.delete_file)
    async def delete_file(self, file_id: str, **options: Unpack[CallOptions]) -> FileDeleted:
        return await self._run(call("delete_file", file_id, reply=FileDeleted, options=options))

    @same_docstring(FileMethods.download_file)
    async def download_file(self, file_id: str, **options: Unpack[CallOptions]) -> bytes:
        return await self._run(call("download_file", file_id, reply=bytes, options=options))

    @same_docstring(FileMethods.save_file)
    async def save_file(self, file_id: str, path: str | os.PathLike[str], **options: Unpack[SaveFileOptions]) -> int:
        saving = _Saving(path, options)
        answer = await run_async(
            exchange_raw(self._target, saving.call(file_id)), saving.sending_async(self._transport), self._sleep
        )
        return saving.finish(self._target, answer)

    @same_docstring(FileMethods.wait_for_file)
    async def wait_for_file(self, file_id: str, **options: Unpack[WaitForFileOptions]) -> FileObject:
        return await run_async(_wait(self._target, file_id, options), self._transport.send, self._sleep)


def _create(file: FileInput, purpose: str, options: Mapping[str, Any]) -> Call[FileObject]:
    of_form, rest = split(options)
    source = Source(file, filename=of_form.filename)
    return call(
        "create_file",
        reply=FileObject,
        options=rest,
        given={"purpose": purpose},
        file=source,
        on_progress=of_form.on_progress,
    )


def _list(options: Mapping[str, Any]) -> Call[ListPage[FileObject]]:
    return call("list_files", reply=ListPage[FileObject], options=options)


def _wait(target: Target, file_id: str, options: Mapping[str, Any]) -> Flow[FileObject]:
    from .polling import checked_pause

    pause_s = checked_pause(options)
    rest = {name: value for name, value in options.items() if name != "poll_interval_s"}
    asked = call("retrieve_file", file_id, reply=FileObject, options=rest)
    while (file := (yield from exchange(target, asked))).status in UNDER_WAY:
        yield Pause(pause_s or POLL_INTERVAL_S)
    return file


class _Saving:
    """Writes answers to a file beside the place where it is to be, and puts it there when it is whole."""

    def __init__(self, path: str | os.PathLike[str], options: Mapping[str, Any]) -> None:
        self._path = os.fspath(path)
        self._rest = dict(options)
        self._on_progress: Progress | None = self._rest.pop("on_progress", None)
        self._partial = f"{self._path}.{os.urandom(4).hex()}.part"

    def call(self, file_id: str) -> Call[bytes]:
        self._call = call("download_file", file_id, reply=bytes, options=self._rest)
        return self._call

    def sending(self, transport: Transport) -> Callable[[Request], Response]:
        def send(request: Request) -> Response:
            incoming = transport.stream(request)
            writing = _Writing(incoming, self._partial, self._on_progress)
            try:
                while part := incoming.read():
                    writing.take(part)
                return writing.response()
            finally:
                writing.close()
                incoming.close()

        return send

    def sending_async(self, transport: AsyncTransport) -> Callable[[Request], Any]:
        async def send(request: Request) -> Response:
            incoming = await transport.stream(request)
            writing = _Writing(incoming, self._partial, self._on_progress)
            try:
                while part := await incoming.read():
                    writing.take(part)
                return writing.response()
            finally:
                writing.close()
                await incoming.close()

        return send

    def finish(self, target: Target, answer: Response) -> int:
        decoded(target, self._call, answer)
        size = os.path.getsize(self._partial)
        try:
            os.replace(self._partial, self._path)
        except BaseException:
            os.unlink(self._partial)
            raise
        return size


class _Writing:
    """One answer: its body goes to a file if it is a good one; that is gone again if it is not whole."""

    def __init__(self, incoming: Incoming | AsyncIncoming, path: str, on_progress: Progress | None) -> None:
        self._incoming = incoming
        self._path = path
        self._on_progress = on_progress
        self._total = int(incoming.headers.get("content-length", 0))
        self._file = open(path, "wb") if incoming.status == 200 else None  # noqa: SIM115 - closed by `close`
        self._held: list[bytes] = []
        self._size = 0
        self._is_whole = False

    def take(self, part: bytes) -> None:
        self._size += len(part)
        if self._file is None:
            self._held.append(part)
            return
        self._file.write(part)
        if self._on_progress is not None:
            self._on_progress(self._size, max(self._total, self._size))

    def response(self) -> Response:
        self._is_whole = True
        return Response(self._incoming.status, self._incoming.headers, b"".join(self._held))

    def close(self) -> None:
        if self._file is None:
            return
        try:
            self._file.close()
        except BaseException:  # the disk is full, perhaps
            self._is_whole = False
            raise
        finally:
            if not self._is_whole:
                os.unlink(self._path)
