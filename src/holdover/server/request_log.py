"""The log's line for every request.

The lines look like those of `logging`, and stand among them. `logging` itself took a third of
the application's time for a look-up: it asks who calls, makes a record, and writes each line by itself.
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
        self._waiting: list[tuple[str, bytes, int, float, str]] = []
        self._second = 0
        self._date = ""

    def __call__(self, *, method: str, path: bytes, status: int, seconds: float, request_id: str) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append((method, path, status, seconds * 1000, request_id))

    def flush(self) -> None:
        """Write what waits."""
        requests, self._waiting = self._waiting, []
        if not requests:
            return
        now = time.time()
        if int(now) != self._second:
            self._second = int(now)
            self._date = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        head = f"{self._date},{int(now % 1 * 1000):03d} INFO holdover: "
        # The path as it was sent, percent-encoded: a name with line breaks in it stays on its line.
        lines = [
            f"{head}{method} {path.decode('ascii', 'replace')} {status} {milliseconds:.1f} ms {request_id}\n"
            for method, path, status, milliseconds, request_id in requests
        ]
        with contextlib.suppress(OSError):  # a log that cannot be written keeps nobody from being answered
            self._stream.write("".join(lines))
            self._stream.flush()
