"""Bars that tell how far a file, or a number of files, has got: on standard error, and only where a person watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

from .interrupts import Interrupts
from .output import one_line

#: Is told how much is done, and of how much.
Told = Callable[[int, int], None]


def progress(label: str) -> AbstractContextManager[Told | None]:
    """Give what is to be told of bytes that were moved and of all there are; ``None`` where nobody watches."""
    return _bar(label, "bytes")


def steps(label: str) -> AbstractContextManager[Told | None]:
    """Give what is to be told of things that are done and of all there are; ``None`` where nobody watches."""
    return _bar(label, "things")


@contextmanager
def _bar(label: str, of: Literal["bytes", "things"]) -> Iterator[Told | None]:
    # Ctrl-C is raised, and does not just end the process: half a file goes away, and the terminal has its cursor again.
    with Interrupts() as interrupts, interrupts.asking(), _drawn(label, of) as told:
        yield told


@contextmanager
def _drawn(label: str, of: Literal["bytes", "things"]) -> Iterator[Told | None]:
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich import progress as rich
    from rich.console import Console

    columns = {
        "bytes": (rich.DownloadColumn, rich.TransferSpeedColumn, rich.TimeRemainingColumn),
        "things": (rich.MofNCompleteColumn, rich.TimeElapsedColumn),
    }
    named = (rich.TextColumn("{task.description}", markup=False), rich.BarColumn())
    counted = (column() for column in columns[of])
    with rich.Progress(*named, *counted, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(one_line(label), total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
