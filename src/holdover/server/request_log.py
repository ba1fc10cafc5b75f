"""The log's line for every request.

The lines look like those of `logging`, and stand among them. `logging` itself would take a third of the time that a
look-up takes: it asks who calls, makes a record, and writes each line by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TextIO


class RequestLog:
    """Writes a line for each request; those of one turn of the loop in one go. Listens to ``server.request``."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: list[str] = []
        self._second = 0
        self._date = ""

    def __call__(self, *, method: str, path: bytes, status: int, seconds: float, request_id: str) -> None:
        now = time.time()
        if int(now) != self._second:
            self._second = int(now)
            self._date = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        # The path as it was sent, percent-encoded: a name with line breaks in it stays on its line.
        self._waiting.append(
            f"{self._date},{int(now % 1 * 1000):03d} INFO holdover: {method} {path.decode('ascii', 'replace')} "
            f"{status} {seconds * 1000:.1f} ms {request_id}\n"
        )

    def flush(self) -> None:
        """Write what waits."""
        lines = "".join(self._waiting)
        self._waiting.clear()
        with contextlib.suppress(OSError):  # a log that cannot be written keeps nobody from being answered
            self._stream.write(lines)
            self._stream.flush()
