"""The code interpreter in runs: code goes into the sandbox of a thread, what comes of it becomes outputs and files.

A sandbox may be gone whenever it is needed (idle for an hour, its limits broken, another process): then it is made
again with the thread's files, and its first output says that variables are gone. Nothing that the code does fails a
run: time-outs, crashes and the lack of a sandbox are outputs that the model reads.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Protocol
from weakref import WeakKeyDictionary

import msgspec

from holdover import telemetry
from holdover.store.protocol import DEADLINE_S, Blobs, Store, TooManyBytes
from holdover.tools.code_interpreter.protocol import DATA, Done, File, Image, Logs, SandboxError, Session
from holdover.wire.assistants import Assistant
from holdover.wire.files import FileObject
from holdover.wire.runs import Run
from holdover.wire.steps import CodeImage, CodeImageFile, CodeLogs
from holdover.wire.threads import Thread
from holdover.wire.tools import ToolResources

from .acting import Made
from .files import Received, new_file
from .lifecycle import state_of

#: What files that code made are for.
PURPOSE = "assistants_output"
#: How long code may take to stop that is to be stopped, in seconds; then its session ends.
STOP_S = 8.0
#: In how many of a thread's runs, the newest first, files are looked for that code made before its sandbox was lost.
RUNS = 50
#: One of them may have so many bytes; the sandbox's own limit is lower.
LIMIT_BYTES = 512 * 1024 * 1024

NEW = "[The sandbox is new: the files are there again, the variables of earlier code are gone.]\n"
NOT_PUT = "[The file {file_id} could not be put into the sandbox.]\n"
ASIDE = "[The attached file {name} is {path}: code has written another {name}.]\n"


class Used(Protocol):
    """A session that is lent: whether it is new, and whether the thread had one before."""

    @property
    def session(self) -> Session: ...
    @property
    def is_new(self) -> bool: ...
    @property
    def was_lost(self) -> bool: ...


class Sessions(Protocol):
    """Keeps one session a thread."""

    def use(self, thread_id: str) -> AbstractAsyncContextManager[Used]:
        """Have a thread's session to oneself."""

    async def forget(self, thread_id: str) -> None:
        """Close a thread's session."""


class _Folder(msgspec.Struct):
    """What is in a session's folder: the names of files that were given to it, and of those that code made there."""

    given: dict[str, str] = {}
    made: dict[str, str] = {}


class _Execution:
    """One piece of code on its way: where it runs, what it came to, and whether anybody still wants to know."""

    def __init__(self) -> None:
        self.session: Session | None = None
        #: ``None`` is the end.
        self.made: asyncio.Queue[Made | None] = asyncio.Queue()
        self.is_unwanted = False


async def _leave(task: asyncio.Task[None], execution: _Execution) -> None:
    """Stop code that nobody waits for, and let its session rest, or end where it does not stop."""
    execution.is_unwanted = True
    with contextlib.suppress(SandboxError):
        if execution.session is not None and await execution.session.interrupt():
            await asyncio.wait({task}, timeout=STOP_S)
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()) is not None:
        telemetry.emit("sandbox.failure", run_id="", error=error)


class CodeInterpreter:
    """Runs code for the threads of runs. See `holdover.engine.acting.Interpreter`."""

    def __init__(self, store: Store, blobs: Blobs, sessions: Sessions, *, new_id: Callable[[str], str]) -> None:
        self._store = store
        self._blobs = blobs
        self._sessions = sessions
        self._new_id = new_id
        self._folders: WeakKeyDictionary[Session, _Folder] = WeakKeyDictionary()
        self._leaving: set[asyncio.Task[None]] = set()

    async def execute(self, run: Run, code: str) -> AsyncIterator[Made]:
        """Run code and give what it comes to, as it comes.

        Closing the iterator early stops the code; the session stays if the code lets itself be stopped. That is seen to
        behind the back of whoever does not wait for it.
        """
        execution = _Execution()
        task = asyncio.create_task(self._execute(run, code, execution))
        try:
            while (made := await execution.made.get()) is not None:
                yield made
            await task
        finally:
            if not task.done():
                leaving = asyncio.create_task(_leave(task, execution))
                self._leaving.add(leaving)
                leaving.add_done_callback(self._leaving.discard)

    async def forget(self, thread_id: str) -> None:
        """End a thread's session, and with it all that is in it.

        The thread is gone already: what the session cannot do is told of, and is no concern of who deleted it.
        """
        try:
            await self._sessions.forget(thread_id)
        except Exception as error:
            telemetry.emit("sandbox.failure", run_id=thread_id, error=error)

    async def close(self) -> None:
        """Wait until nothing is being stopped any more."""
        while self._leaving:
            await asyncio.wait(self._leaving)

    async def _execute(self, run: Run, code: str, execution: _Execution) -> None:
        tell = execution.made.put_nowait
        try:
            async with self._sessions.use(run.thread_id) as used:
                execution.session = used.session
                if used.was_lost:
                    tell(Made(outputs=[CodeLogs(logs=NEW)]))
                folder = self._folders.setdefault(used.session, _Folder())
                async for told in self._fill(used, folder, run):
                    tell(told)
                async with aclosing(used.session.execute(code)) as events:  # type: ignore[type-var]
                    async for event in events:
                        if not execution.is_unwanted and (made := await self._made(event, folder)) is not None:
                            tell(made)
        except SandboxError as error:
            telemetry.emit("sandbox.failure", run_id=run.id, error=error)
            tell(Made(outputs=[CodeLogs(logs=f"{error}\n")]))
        finally:
            tell(None)

    # ------------------------------------------------------------------------------------- files that go in

    async def _fill(self, used: Used, folder: _Folder, run: Run) -> AsyncIterator[Made]:
        """Put the thread's files into its folder, as far as they are not there."""
        if used.is_new:
            for name, file_id in (await self._made_before(run)).items():
                found = await self._store.find_file(file_id)
                if found is not None and await self._put(used.session, folder, file_id, found[1], name):
                    folder.made[name] = file_id
        for file_id in await self._attached(run):
            if file_id in folder.given:
                continue
            found = await self._store.find_file(file_id)
            if found is None:
                yield Made(outputs=[CodeLogs(logs=NOT_PUT.format(file_id=file_id))])
                continue
            file = _decode_file(found[0])
            if used.is_new and (replaced := await self._replaced(folder, file)) is not None:
                folder.given[file_id] = replaced
                continue
            own = _free_name(folder, file)
            path = await self._put(used.session, folder, file_id, found[1], own)
            if path is None:
                yield Made(outputs=[CodeLogs(logs=NOT_PUT.format(file_id=file_id))])
            elif file.filename in folder.made:
                # As if code had made it: it is there again, under this name, when the sandbox is.
                folder.made[own] = file_id
                yield Made(outputs=[CodeLogs(logs=ASIDE.format(name=file.filename, path=path))])
        yield Made(files=folder.made)

    async def _put(self, session: Session, folder: _Folder, file_id: str, digest: str, name: str) -> str | None:
        """Put a file into a folder; return its path there, or ``None`` where it does not fit."""
        try:
            path = await session.put(name, self._blobs.read(digest))
        except SandboxError as error:
            telemetry.emit("sandbox.failure", run_id=file_id, error=error)
            return None
        folder.given[file_id] = name
        return path

    async def _replaced(self, folder: _Folder, file: FileObject) -> str | None:
        """Return the name under which code wrote over a file, in the sandbox that is filled again, if it did."""
        if (aside := f"{file.id}-{file.filename}") in folder.made:
            return aside
        made_id = folder.made.get(file.filename)
        if made_id is None or any(
            name == file.filename and file_id != made_id for file_id, name in folder.given.items()
        ):
            return None  # of two that were given under one name, code wrote over the first
        made = await self._store.find_file(made_id)
        # What came after the code wrote is another one, which was attached while there was no sandbox.
        is_later = made is not None and file.created_at > _decode_file(made[0]).created_at
        return None if is_later else file.filename

    async def _attached(self, run: Run) -> Iterable[str]:
        """Return the files that the assistant and the thread have for the code interpreter."""
        assistant = await self._store.get("assistant", run.assistant_id)
        thread = await self._store.get("thread", run.thread_id)
        return dict.fromkeys(
            [
                *(_files_of(_decode_assistant(assistant).tool_resources) if assistant else ()),
                *(_files_of(_decode_thread(thread).tool_resources) if thread else ()),
            ]
        )

    async def _made_before(self, run: Run) -> Mapping[str, str]:
        """Return the files that code made in this thread before: the newest run that has any knows them all."""
        page = await self._store.page("run", limit=RUNS, ascending=False, after=None, before=None, owner=run.thread_id)
        for run_id in page.ids:
            found = await self._store.change_run(run_id, lambda row: None, durable=False)
            if found is not None and (files := state_of(found.row.extra).files):
                return files
        return {}

    # ------------------------------------------------------------------------------------ what comes out

    async def _made(self, event: Logs | Image | File | Done, folder: _Folder) -> Made | None:
        match event:
            case Logs(text=text):
                return Made(outputs=[CodeLogs(logs=text)])
            case Image(format=kind, data=data):
                file_id = await self._keep(_once(data), lambda file_id: f"{file_id}.{kind}")
                return Made(outputs=[CodeImage(image=CodeImageFile(file_id=file_id))], images=[file_id])
            case File(path=path, chunks=chunks):
                name = path.removeprefix(f"{DATA}/")
                file_id = await self._keep(chunks(), lambda _: name)
                folder.made[name] = folder.given[file_id] = file_id
                return Made(files={name: file_id})
            case Done(message=message):
                return Made(outputs=[CodeLogs(logs=f"[{message}]\n")]) if message else None

    async def _keep(self, parts: AsyncIterator[bytes], name: Callable[[str], str]) -> str:
        """Make a file of what comes out, and return its id."""
        try:
            blob = await self._blobs.receive(parts, limit_bytes=LIMIT_BYTES)
        except TooManyBytes as error:
            raise SandboxError("A file is too large to be kept.") from error
        now = self._store.now()
        file_id = self._new_id("file")
        _, stored = new_file(
            id=file_id,
            filename=name(file_id),
            purpose=PURPOSE,
            received=Received(blob, None, now + DEADLINE_S),
            created_at=int(now),
            expires_at=None,
        )
        await self._store.create([stored], reply=stored.document)
        return file_id


def _free_name(folder: _Folder, file: FileObject) -> str:
    """Return the name of a file in a folder: its own, if neither code nor another file has taken it."""
    is_taken = file.filename in folder.made or file.filename in folder.given.values()
    return f"{file.id}-{file.filename}" if is_taken else file.filename


def _files_of(resources: ToolResources | None) -> list[str]:
    interpreter = resources.code_interpreter if resources else None
    return list(interpreter.file_ids or ()) if interpreter else []


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


_decode_assistant = msgspec.json.Decoder(Assistant).decode
_decode_thread = msgspec.json.Decoder(Thread).decode
_decode_file = msgspec.json.Decoder(FileObject).decode
