"""Bars that tell how far a file, or a number of files, has got: on standard error, and only where a person watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .output import one_line


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """Give what is to be told of bytes that were moved and of all there are; ``None`` where nobody watches."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(one_line(label), total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


@contextmanager
def steps(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """Give what is to be told of things that are done and of all there are; ``None`` where nobody watches."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(one_line(label), total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
