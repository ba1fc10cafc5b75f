"""How much a guest has written, where its files are in a folder of the host and no file system counts them.

No file in the folder is opened: files are only looked at. There are no links to be followed, since no guest can make
one (the filter and Landlock both refuse). A tree of any depth is walked and removed without going deeper ourselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from itertools import chain

import msgspec

from .guest import End

#: How often a running guest is looked at.
EVERY_S = 0.1
#: Larger than any disk.
UNSEEN = 1 << 62


class Usage(msgspec.Struct, frozen=True):
    """What is there: bytes as the disk counts them, and files and folders."""

    size: int
    files: int

    def exceeds(self, other: Usage) -> bool:
        return self.size > other.size or self.files > other.files


def measure(folder: str, process_id: int, most: Usage) -> Usage:
    """Add up a folder and what a process holds open without a name; stop where it is more than ``most``."""
    size = files = 0
    for seen in chain(_nameless(process_id, os.stat(folder).st_dev), _named(folder)):
        size += seen
        files += 1
        if size > most.size or files > most.files:
            break
    return Usage(size, files)


def _named(folder: str) -> Iterator[int]:
    """Yield the sizes of files and folders; one that cannot be looked into counts as more than may be."""
    folders = [folder]
    while folders:
        try:
            with os.scandir(folders.pop()) as found:
                entries = list(found)
        except FileNotFoundError:
            continue
        except OSError:  # too deep for a path, or made such that nobody may read it
            yield UNSEEN
            return
        for entry in entries:
            try:
                seen = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError:
                yield UNSEEN
                return
            yield seen.st_blocks * 512
            if stat.S_ISDIR(seen.st_mode):
                folders.append(entry.path)


def _nameless(process_id: int, device: int) -> Iterator[int]:
    """Yield the sizes of files that were removed and are still open or mapped."""
    try:
        for descriptor in os.listdir(f"/proc/{process_id}/fd"):
            seen = os.stat(f"/proc/{process_id}/fd/{descriptor}")
            if stat.S_ISREG(seen.st_mode) and not seen.st_nlink and seen.st_dev == device:
                yield seen.st_blocks * 512
        with open(f"/proc/{process_id}/maps") as maps:
            for line in maps:
                if line.endswith(" (deleted)\n"):
                    low, _, high = line.partition(" ")[0].partition("-")
                    yield int(high, 16) - int(low, 16)
    except OSError:
        return  # it is gone, or just closed what was looked at: the next look will tell


def remove(folder: str) -> None:
    """Remove a folder that a guest has left; folders within folders are lifted out first, depth is no matter then."""
    try:
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        names = os.listdir(root)
        while names:
            names += _removed(names.pop(), root)
    finally:
        os.close(root)
    os.rmdir(folder)


def _removed(name: str, root: int) -> list[str]:
    """Remove a member of a folder; return by what names those within it are members now."""
    lifted: list[str] = []
    if not stat.S_ISDIR(os.stat(name, dir_fd=root, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=root)
        return lifted
    os.chmod(name, 0o700, dir_fd=root)
    child = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
    try:
        for inner in os.listdir(child):
            if stat.S_ISDIR(os.stat(inner, dir_fd=child, follow_symlinks=False).st_mode):
                lifted.append(secrets.token_hex(16))
                os.chmod(inner, 0o700, dir_fd=child)
                os.rename(inner, lifted[-1], src_dir_fd=child, dst_dir_fd=root)
            else:
                os.unlink(inner, dir_fd=child)
    finally:
        os.close(child)
    os.rmdir(name, dir_fd=root)
    return lifted


class DiskWatch:
    """Kills a guest whose files are more than it may have; removes its folder when it is gone. See `process.Watch`.

    Args:
        kill: Ends the guest's process.
    """

    def __init__(self, folder: str, most: Usage, kill: Callable[[int], None]) -> None:
        self._folder = folder
        self._most = most
        self._kill = kill
        self._process_id = 0
        self._running = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._was_exceeded = False

    async def begin(self, process_id: int) -> None:
        self._process_id = process_id
        self._running.set()
        self._task = asyncio.create_task(self._look())

    async def rest(self, is_resting: bool) -> None:
        if not is_resting:
            self._running.set()
            return
        self._running.clear()
        if await self._exceeds():  # what was written since the last look
            raise EOFError("the disk is used up")

    async def end(self) -> End | None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        with contextlib.suppress(OSError):  # what stays is looked for at the next start
            await asyncio.to_thread(remove, self._folder)
        return End("disk") if self._was_exceeded else None

    async def _look(self) -> None:
        while not await self._exceeds():
            await asyncio.sleep(EVERY_S)
            await self._running.wait()

    async def _exceeds(self) -> bool:
        try:
            found = await asyncio.to_thread(measure, self._folder, self._process_id, self._most)
        except OSError:
            found = Usage(UNSEEN, 0)  # a guest that cannot be looked after is not let run
        if found.exceeds(self._most) and not self._was_exceeded:
            self._was_exceeded = True
            self._kill(self._process_id)
        return self._was_exceeded
