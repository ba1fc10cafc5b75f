"""Child processes under measurement: pinned to a core, asked line by line, stopped by their own handle."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import IO

import psutil

ROOT = Path(__file__).parents[1]

#: What is measured runs on the first core, what loads it or answers it on the last.
MEASURED_CORE, OTHER_CORE = 0, -1

#: Variables that would steer a client or a service, or have every module compiled again.
_STEERING = ("OPENAI_", "HOLDOVER_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "PYTHONDONTWRITEBYTECODE")


def environment() -> dict[str, str]:
    """Return this process's environment without what would steer the ones measured."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(_STEERING)}


def pin(process_id: int, core: int) -> None:
    """Keep a process on one of the cores we may use, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        usable = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(process_id, {usable[core]})


class Child:
    """A Python process of ours that says one line when it is ready, then one for every line it is sent.

    Args:
        arguments: For ``python``: ``-m``, a module, its arguments.
        core: `MEASURED_CORE` or `OTHER_CORE`; any where it is left open.
        log: Where its standard error goes; this process's when left out.
    """

    def __init__(self, *arguments: str, core: int | None, log: IO[bytes] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=ROOT,
            env=environment(),
            text=True,
        )
        if core is not None:
            pin(self._process.pid, core)
        self._seen = psutil.Process(self._process.pid)
        self._name = " ".join(arguments)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def read(self) -> str:
        """Wait for its next line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"python {self._name} ended with {self._process.wait(10)}")
        return line

    def ask(self, line: str) -> str:
        """Send a line and wait for the answer."""
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)
        return self.read()

    def memory_bytes(self) -> int:
        """Return what it has in memory now."""
        return int(self._seen.memory_info().rss)

    def cpu_s(self) -> float:
        """Return the processor time that it has used, its own and the system's for it, all threads."""
        times = self._seen.cpu_times()
        return float(times.user + times.system)

    def stop(self) -> None:
        """Ask it to end, and end it when it does not."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(15)
        self._process.stdout.close()
