"""Has files read by child processes, under limits, and knows none of their formats.

A file may be made to break whoever reads it. So it is read by a process that holds no secret (its environment is
empty), that may take only so much memory and time, that writes no file, and that is thrown away when it did not answer
as it should. Others are kept for the next file: to start one takes a third of a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import Any, cast

from .failures import BROKEN, MAX_TEXT_BYTES, TOO_LARGE, UNSTARTED, Unreadable

#: How long a file may take, in seconds. The child's limit on processor time is below it.
TIMEOUT_S = 180.0
#: How long a child without work is kept, in seconds.
IDLE_S = 60.0
#: Files that a child reads before another takes its place: libraries may not give back all that they took.
FILES_PER_CHILD = 100
#: Signals that end what ran out of time or memory; others tell of a parser that fell over what it read.
SPENT = (signal.SIGXCPU, signal.SIGKILL, signal.SIGABRT)

_SERVE = "import sys; sys.path[:] = {path!r}; from holdover.tools.file_search.parsers import serve; serve()"
#: Nothing of the service's own. UTF-8 whatever the system's language is.
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}


class Parsers:
    """A pool of children that read files. For one event loop.

    Args:
        children: How many files are read at the same time; others wait.
        timeout_s: How long one may take.
    """

    def __init__(self, children: int = 2, *, timeout_s: float = TIMEOUT_S, idle_s: float = IDLE_S) -> None:
        self._turns = asyncio.Semaphore(children)
        self._timeout_s = timeout_s
        self._idle_s = idle_s
        self._idle: list[_Child] = []
        self._is_closed = False

    async def read_text(self, path: str, file_name: str) -> str:
        """Return the text of a file.

        Raises:
            Unreadable: It has none that can be read, and why.
        """
        async with self._turns:
            child = self._idle.pop() if self._idle else await self._start()
            child.is_wanted()
            try:
                async with asyncio.timeout(self._timeout_s):
                    text = await child.ask(path, file_name)
            except Unreadable:
                self._keep(child)
                raise
            except TimeoutError:
                await child.end()
                raise TOO_LARGE from None
            except _Died as death:
                await child.end()
                raise death.reason from None
            except BaseException:
                await child.end()
                raise
            self._keep(child)
            return text

    async def close(self) -> None:
        """End the children that have no work; those that have, when it is done."""
        self._is_closed = True
        children, self._idle = self._idle, []
        for child in children:
            child.is_wanted()
            await child.end()

    async def _start(self) -> _Child:
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-c", _SERVE.format(path=list(map(os.path.abspath, sys.path)))),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=_ENVIRONMENT,
                cwd=os.path.sep,
                start_new_session=True,  # what is typed at the service's terminal is not for it
            )
        except OSError as error:
            raise UNSTARTED from error
        return _Child(process)

    def _keep(self, child: _Child) -> None:
        if self._is_closed or child.files >= FILES_PER_CHILD:
            child.kill()
        else:
            self._idle.append(child)
            child.waits(self._idle_s, lambda: self._idle.remove(child))


class _Died(Exception):
    """A child ended, or answered what it should not."""

    def __init__(self, reason: Unreadable) -> None:
        super().__init__(reason.message)
        self.reason = reason


class _Child:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._timer: asyncio.TimerHandle | None = None
        self._reaping: asyncio.Task[int] | None = None
        self.files = 0

    async def ask(self, path: str, file_name: str) -> str:
        """Have a file read. What comes back is believed no more than a file would be."""
        self.files += 1
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        with contextlib.suppress(ConnectionError):
            requests.write(json.dumps([path, file_name]).encode() + b"\n")
            await requests.drain()
        try:
            head = await answers.readuntil(b"\n")
            text = await answers.readexactly(_length(head))
            return text.decode()
        except asyncio.IncompleteReadError:
            status = await self._process.wait()
            raise _Died(UNSTARTED if status >= 0 else TOO_LARGE if -status in SPENT else BROKEN) from None
        except (asyncio.LimitOverrunError, ValueError):
            raise _Died(BROKEN) from None

    def waits(self, idle_s: float, then: Any) -> None:
        """End it when it had no work for so long."""

        def give_up() -> None:
            then()
            self.kill()

        self._timer = asyncio.get_running_loop().call_later(idle_s, give_up)

    def is_wanted(self) -> None:
        """Do not end it for having no work."""
        if self._timer is not None:
            self._timer.cancel()

    def kill(self) -> None:
        """End it without waiting for that."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._reaping = asyncio.ensure_future(self._process.wait())

    async def end(self) -> int:
        """End it and return its exit status."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        return await self._process.wait()


def _length(head: bytes) -> int:
    """Return how long the text is that follows.

    Raises:
        Unreadable: The answer says so.
        ValueError: It is none.
    """
    answer = json.loads(head)
    match answer:
        case [int(length)] if 0 <= length <= MAX_TEXT_BYTES:
            return length
        case ["server_error" | "unsupported_file" | "invalid_file" as code, str(message)]:
            raise Unreadable(cast(Any, code), message)
        case _:
            raise ValueError("not an answer")
