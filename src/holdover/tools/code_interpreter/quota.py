"""How much a guest has written, where its files are in a folder of the host and no file system counts them.

Nothing in the folder is opened: folders are walked by descriptors that follow no link, files are only looked at.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Callable, Iterator

import msgspec

from .guest import End

#: How often a running guest is looked at.
EVERY_S = 0.1


class Usage(msgspec.Struct, frozen=True):
    """What is there: bytes as the disk counts them, and files and folders."""

    size: int
    files: int

    def exceeds(self, other: Usage) -> bool:
        return self.size > other.size or self.files > other.files


def measure(folder: str, process_id: int, most: Usage) -> Usage:
    """Add up a folder and what a process holds open without a name; stop where it is more than ``most``."""
    size = files = 0
    for seen in (*_nameless(process_id, os.stat(folder).st_dev), *_named(folder, most.files)):
        size += seen
        files += 1
        if size > most.size or files > most.files:
            break
    return Usage(size, files)


def _named(folder: str, most_files: int) -> Iterator[int]:
    count = 0
    for _, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        for name in (*folders, *files):
            count += 1
            if count > most_files:
                yield 0
                return
            try:
                yield os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_blocks * 512
            except FileNotFoundError:
                continue


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
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        return End("disk") if self._was_exceeded else None

    async def _look(self) -> None:
        while not await self._exceeds():
            await asyncio.sleep(EVERY_S)
            await self._running.wait()

    async def _exceeds(self) -> bool:
        found = await asyncio.to_thread(measure, self._folder, self._process_id, self._most)
        if found.exceeds(self._most) and not self._was_exceeded:
            self._was_exceeded = True
            self._kill(self._process_id)
        return self._was_exceeded
