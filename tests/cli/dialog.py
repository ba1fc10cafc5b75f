"""A command on a terminal, and somebody who reads and types."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time

PATIENCE_S = 30.0
CTRL_C, CTRL_D = "\x03", "\x04"
#: What a terminal is told beside text: cursor moves and the like.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Dialog:
    """A process whose terminal we hold. Use it in a ``with`` block.

    Args:
        stdout: Where its output goes instead of the terminal.
    """

    def __init__(self, words: list[str], *, stdout: int | None = None, **environment: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            words,
            stdin=theirs,
            stdout=theirs if stdout is None else stdout,
            stderr=theirs,
            env=os.environ | {"TERM": "dumb"} | environment,
            start_new_session=True,  # so that Ctrl-C comes from this terminal, and from no other
            preexec_fn=_take_terminal,
        )
        os.close(theirs)
        self._waiting = ""
        #: All that was shown.
        self.shown = ""
        #: The same, with what a terminal is told beside text.
        self.raw = b""

    def __enter__(self) -> Dialog:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def read_until(self, text: str, *, pressing: str = "") -> str:
        """Return what is shown up to and including a text.

        Args:
            pressing: A key that is pressed, and again while nothing is shown: readline overlooks a Ctrl-C that comes
                between its prompt and its waiting. What is overlooked counts once, however often it came.
        """
        self.type(pressing)
        while text not in self._waiting:
            part = self._read(pressing)
            assert part, f"it ended without saying {text!r}: {self.shown}"
            self._waiting += part
        before, _, self._waiting = self._waiting.partition(text)
        return before + text

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def end(self, *, pressing: str = "") -> int:
        """Read all that is still shown; return the exit status."""
        self.type(pressing)
        while part := self._read(pressing):
            self._waiting += part
        return self.process.wait(PATIENCE_S)

    @property
    def rest(self) -> str:
        """What was shown and not waited for."""
        return self._waiting

    def _read(self, pressing: str = "") -> str:
        deadline = time.monotonic() + PATIENCE_S
        while not select.select([self._ours], [], [], 1.0)[0]:
            assert time.monotonic() < deadline, f"it says no more: {self.shown}"
            self.type(pressing)
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # how Linux says that nobody is left to write
            return ""
        self.raw += data
        text = _CONTROL.sub("", data.decode("utf-8", "replace")).replace("\r\n", "\n")
        self.shown += text
        return text or self._read(pressing)  # what says nothing is not the end


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
