"""The bytes of files in a folder, by the SHA-256 of their content. ``s3.py`` has the same for a bucket.

What names bytes is a row of the store. Bytes come first: they are on disk when `receive` returns, and only then does a
row name them. So a crash leaves bytes that no row names, never a row without bytes; a sweep takes such bytes away.

It must not take away what somebody is about to name, in this process or in another one that shares the folder. So it
leaves alone what came within `GRACE_S`, even if it was there before and came again; and a row is refused
(`TooLate`) that would be written more than ``DEADLINE_S`` after its bytes had come. Between the
two is room for clocks that differ. The reasons at length: ``docs/explanation/files.md``.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeVar

from holdover import telemetry
from holdover.errors import InternalServerError

from .protocol import GRACE_S, Blob, TooManyBytes

T = TypeVar("T")

#: How much is written or read at once: handing it to a thread costs as much as some 100 KiB of it.
BLOCK_BYTES = 1024 * 1024
#: How many digests the sweep looks at together.
BATCH = 500

#: What a disk or a quota says that is full.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FolderBlobs:
    """Bytes in a folder: ``ab/cdef…`` is what has the digest ``abcdef…``. See
    `holdover.store.protocol.Blobs`.

    A name is only ever given to a whole file, by renaming one that was written and flushed under another; and taken
    from it by renaming it away first, so that what was put there a moment ago can be seen and put back.

    Args:
        path: The folder; it is made when it is needed. ``None`` for one that goes when this is closed.
        clock: Returns the time in Unix seconds, as files are stamped with.
    """

    def __init__(self, path: str | os.PathLike[str] | None, *, clock: Callable[[], float] = time.time) -> None:
        self._path_given = path
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._clock = clock

    @cached_property
    def _root(self) -> Path:
        if self._path_given is not None:
            return Path(self._path_given)
        self._temporary = tempfile.TemporaryDirectory(prefix="holdover-files-")
        return Path(self._temporary.name)

    @property
    def _incoming(self) -> Path:
        return self._root / "incoming"

    @property
    def _leaving(self) -> Path:
        return self._root / "leaving"

    async def receive(self, parts: AsyncIterator[bytes], *, limit_bytes: int) -> Blob:
        temporary = self._begin()
        try:
            with temporary.file:
                async for block in blocks(parts):
                    if temporary.bytes + len(block) > limit_bytes:
                        raise TooManyBytes
                    await in_thread(temporary.write, block)
                blob = temporary.blob()
                await in_thread(self._keep, temporary, blob.digest)
        except BaseException:
            # Not in a thread: whoever is cancelled must not leave it, and the name is gone at once.
            with contextlib.suppress(OSError):
                os.unlink(temporary.path)
            raise
        return blob

    async def read(self, digest: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        file = self._open(digest)
        try:
            if start:
                file.seek(start)
            left = None if end is None else end - start
            while left is None or left > 0:
                block = await in_thread(file.read, BLOCK_BYTES if left is None else min(BLOCK_BYTES, left))
                if not block:
                    break
                if left is not None:
                    left -= len(block)
                yield block
        finally:
            file.close()

    @contextlib.asynccontextmanager
    async def local(self, digest: str) -> AsyncIterator[str]:
        path = self._path(digest)
        if not await asyncio.to_thread(path.exists):
            raise missing(digest)
        yield str(path)

    async def settled(self) -> AsyncIterator[Sequence[str]]:
        if self._path_given is None and self._temporary is None:
            return  # nothing came yet
        await in_thread(self._tidy)
        found = self._old_digests()
        while batch := await in_thread(_take, found, BATCH):
            yield batch

    async def delete(self, digest: str) -> None:
        await in_thread(self._delete, digest)

    async def close(self) -> None:
        if self._temporary is not None:
            await asyncio.to_thread(self._temporary.cleanup)

    # What follows waits for the disk, and runs in threads.

    def _path(self, digest: str) -> Path:
        return self._root / digest[:2] / digest[2:]

    def _begin(self) -> Temporary:
        return Temporary.begin(self._incoming)

    def _keep(self, temporary: Temporary, digest: str) -> None:
        """Put what was written in its place, flushed, with the names of all folders on the way to it."""
        flush(temporary.file.fileno())
        path = self._path(digest)
        is_new = not path.parent.exists()
        path.parent.mkdir(exist_ok=True, mode=0o700)
        now = self._clock()
        os.utime(temporary.path, (now, now))
        # Also where there is such a file already: that one may be about to be swept, this one is not.
        os.replace(temporary.path, path)
        _flush_folder(path.parent)
        if is_new:
            _flush_folder(self._root)
            _flush_folder(self._root.parent)

    def _open(self, digest: str) -> IO[bytes]:
        try:
            return open(self._path(digest), "rb", buffering=0)
        except FileNotFoundError:
            raise missing(digest) from None
        except OSError as error:
            raise translated(error) from error

    def _is_old(self, path: Path) -> bool:
        return path.stat().st_mtime <= self._clock() - GRACE_S

    def _tidy(self) -> None:
        """Drop what nobody writes any more, and put back or drop what a sweep that died was taking away."""
        for path in _entries(self._incoming):
            with contextlib.suppress(FileNotFoundError):
                if self._is_old(path):
                    path.unlink()
        for path in _entries(self._leaving):
            with contextlib.suppress(FileNotFoundError):
                self._settle(path)

    def _old_digests(self) -> Iterator[str]:
        for shard in _entries(self._root):
            if len(shard.name) != 2:
                continue
            for path in _entries(shard):
                with contextlib.suppress(FileNotFoundError):
                    if self._is_old(path):
                        yield shard.name + path.name

    def _delete(self, digest: str) -> None:
        self._leaving.mkdir(exist_ok=True, mode=0o700)
        leaving = self._leaving / f"{digest}.{os.urandom(8).hex()}"
        try:
            os.rename(self._path(digest), leaving)
        except FileNotFoundError:
            return
        self._settle(leaving)

    def _settle(self, leaving: Path) -> None:
        """Drop a file that was taken away; put it back if it was put there just before that, by somebody else."""
        if not self._is_old(leaving):
            with contextlib.suppress(FileExistsError):  # it has come once more
                os.link(leaving, self._path(leaving.name.partition(".")[0]))
        leaving.unlink()


class Temporary:
    """A file that is being written, and what went into it so far."""

    @classmethod
    def begin(cls, folder: Path) -> Temporary:
        """Make a file in a folder, which is made where it is missing.

        Raises:
            InternalServerError: It cannot be made.
        """
        # Not in a thread: whoever is cancelled in between would not know of it.
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = folder / os.urandom(16).hex()
            return cls(path, open(path, "xb", buffering=0))
        except OSError as error:
            raise translated(error) from error

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self.file = file
        self.bytes = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)

    def write(self, block: bytes) -> None:
        self._sha256.update(block)
        self._md5.update(block)
        rest = memoryview(block)
        while rest:
            rest = rest[self.file.write(rest) :]
        self.bytes += len(block)

    def blob(self) -> Blob:
        return Blob(self._sha256.hexdigest(), self.bytes, self._md5.hexdigest())


async def blocks(parts: AsyncIterator[bytes], size: int = BLOCK_BYTES) -> AsyncIterator[bytes]:
    """Gather small parts into blocks of at least ``size`` bytes; the last may be smaller."""
    held: list[bytes] = []
    held_bytes = 0
    async for part in parts:
        held.append(part)
        held_bytes += len(part)
        if held_bytes >= size:
            yield b"".join(held)
            held.clear()
            held_bytes = 0
    if held_bytes:
        yield b"".join(held)


def flush(descriptor: int) -> None:
    """Have what was written reach the disk itself."""
    if hasattr(full := _fcntl(), "F_FULLFSYNC"):  # macOS, where fsync alone does not say so
        full.fcntl(descriptor, full.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def _fcntl() -> Any:
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        return None
    return fcntl


def _flush_folder(path: Path) -> None:
    if os.name == "nt":  # where a folder cannot be opened, and its names are durable with the file
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _take(found: Iterator[str], count: int) -> list[str]:
    return list(islice(found, count))


def missing(digest: str) -> InternalServerError:
    error = InternalServerError(f"The bytes {digest} are not where they should be.")
    telemetry.emit("store.failure", error=error)
    return error


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Do in a thread what waits for the disk; it has ended when this returns, even if it is cancelled."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # it is of no interest now, and would be told of as forgotten
        raise
    except OSError as error:
        raise translated(error) from error


def translated(error: OSError) -> InternalServerError:
    """Return what is told of a disk that does not do what it is asked."""
    telemetry.emit("store.failure", error=error)
    if error.errno in _FULL:
        return InternalServerError("The disk is full.", status=507)
    return InternalServerError(f"The disk refused: {error}.")
