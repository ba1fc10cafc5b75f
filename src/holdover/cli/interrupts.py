"""What Ctrl-C does, for commands that have something to end in their own manner."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupts:
    """Ctrl-C: the first one ends what is under way in its own manner, the next one raises `KeyboardInterrupt`.

    While a person is asked, every one raises it. Where Ctrl-C is ignored it stays so.
    """

    def __init__(self) -> None:
        #: How many came since `forget`.
        self.count = 0
        self._end: Callable[[], None] | None = None
        self._is_ending = False
        self._is_asking = False
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        self._before = signal.getsignal(signal.SIGINT)
        if self._before is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._take)
        return self

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def forget(self) -> None:
        """Count from the beginning."""
        self.count = 0

    @contextmanager
    def ending(self, end: Callable[[], None]) -> Iterator[None]:
        """Have the first Ctrl-C call this, inside the block; one that came just before does so, too."""
        self._end = end
        try:
            if self.count:
                self._call(end)
            yield
        finally:
            self._end = None

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Have every Ctrl-C raise `KeyboardInterrupt`, inside the block."""
        self._is_asking = True
        try:
            yield
        finally:
            self._is_asking = False

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self._is_ending:
            return  # it is raised behind that: in the middle, half a thread would be started, or a lock be left
        if self._is_asking or self.count > 1:
            raise KeyboardInterrupt
        if self._end is not None:
            self._call(self._end)

    def _call(self, end: Callable[[], None]) -> None:
        self._is_ending = True
        try:
            end()
        finally:
            self._is_ending = False
        if self.count > 1:
            raise KeyboardInterrupt
