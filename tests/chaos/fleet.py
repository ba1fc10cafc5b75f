"""The processes under test: the real commands, killed, frozen, and begun again."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.conftest import STEERING

#: Said on stderr once a process works.
READY = (b"is in office at", b"works for")


class Member:
    """A process that is begun again whenever it ends.

    Args:
        arguments: What comes after ``holdover``; asked for anew at each start.
        port: Where it listens; ``None`` for a worker.
    """

    def __init__(self, name: str, arguments: Any, log: Path, *, port: int | None = None) -> None:
        self.name = name
        self.port = port
        self.is_ready = asyncio.Event()
        self.is_frozen = False
        self.starts = 0
        self._arguments = arguments
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._is_ending = False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def live(self) -> None:
        """Run until the test ends it."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(STEERING)}
        environment |= {"HOLDOVER_DEFAULT_MODEL": "scripted", "HOLDOVER_LOG_LEVEL": "error"}
        while not self._is_ending:
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "holdover", *self._arguments()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=environment,
            )
            self.starts += 1
            assert process.stderr is not None
            with self._log.open("ab") as log:
                async for line in process.stderr:
                    log.write(line)
                    if any(words in line for words in READY):
                        self.is_ready.set()
            self.is_ready.clear()
            self.is_frozen = False
            if await process.wait() > 0:
                await asyncio.sleep(0.2)  # it could not start: the database is away

    def kill(self) -> float:
        """End it as a crash would, and return when."""
        self.is_ready.clear()
        self._signal(signal.SIGKILL)
        return time.monotonic()

    async def freeze(self, seconds: float) -> None:
        """Have it do nothing for so long, and know nothing of it."""
        self.is_frozen = True
        self._signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self._signal(signal.SIGCONT)
        self.is_frozen = False

    async def end(self) -> int:
        """Ask it to end, and return its exit status."""
        self._is_ending = True
        self._signal(signal.SIGTERM)
        assert self._process is not None
        return await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)


class Fleet:
    """All members, and who of them can be called or maltreated."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members
        self._lives: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Fleet:
        self._lives = [asyncio.create_task(each.live(), name=each.name) for each in self.members]
        await self.settle()
        return self

    async def __aexit__(self, *error: object) -> None:
        for each in self.members:
            each._is_ending = True
            each._signal(signal.SIGCONT)
            each._signal(signal.SIGKILL)
        await asyncio.gather(*self._lives)

    async def settle(self) -> None:
        """Wait until all are ready."""
        async with asyncio.timeout(60):
            while not all(each.is_ready.is_set() and not each.is_frozen for each in self.members):
                await asyncio.gather(*(each.is_ready.wait() for each in self.members))
                await asyncio.sleep(0.01)

    def at_hand(self) -> list[Member]:
        """Return the members that can be maltreated now."""
        return [each for each in self.members if each.is_ready.is_set() and not each.is_frozen]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
