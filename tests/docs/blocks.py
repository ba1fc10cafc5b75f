"""The documentation's code blocks, and how each language is run.

    python, pycon   in one namespace a page; what a pycon block shows is compared
    console         the real command line on a terminal of its own; what is shown is compared
    toml, json      read as settings, or as JSON
    text            shows something, and is not run

Any other block says in its info string why it is not run: ```` ```nginx no-run: needs nginx ````.

Comparing is loose: ``…`` stands for anything; line breaks, times and ports do not count. In a command, ``asst_…`` is
the last id of its kind that was shown, and so is ``thread_…``.
"""

from __future__ import annotations

import contextlib
import doctest
import json
import os
import pty
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import msgspec

from holdover import settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

#: Where documentation says that the service is.
WRITTEN = "127.0.0.1:8026"

_BLOCK = re.compile(r"^( *)```(\w+) ?(.*?)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_VARYING = (
    (re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]"), ""),  # colour
    (re.compile(r"\b127\.0\.0\.1:\d+"), WRITTEN),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d"), "(a time)"),
    (re.compile(r"\b1[78]\d{8}\b"), "(a time)"),
    (re.compile(r"\s+"), " "),
)


class Block(msgspec.Struct, frozen=True):
    page: Path
    line: int
    language: str
    note: str
    code: str


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(page, text.count("\n", 0, each.start()) + 1, each[2], each[3], re.sub(f"(?m)^{each[1]}", "", each[4]))
        for each in _BLOCK.finditer(text)
    ]


def fits(shown: str, got: str) -> bool:
    """Whether an output is the one that a page shows."""
    parts = (re.escape(part.strip()) for part in _settled(shown).split("…"))
    return not shown.strip() or re.fullmatch(r"\s?.*?\s?".join(parts), _settled(got), re.DOTALL) is not None


def _settled(text: str) -> str:
    for pattern, same in _VARYING:
        text = pattern.sub(same, text)
    return text.strip()


class _Checker(doctest.OutputChecker):
    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return fits(want, got)


class Reader:
    """Someone who follows a page from its beginning, with a service at ``address`` and a folder to work in."""

    def __init__(self, address: str, folder: Path) -> None:
        self._address = address
        self._folder = folder
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self._last_ids = {"asst": "", "thread": ""}
        self._program = ""

    def follow(self, block: Block) -> None:
        """Do what a block says.

        Raises:
            Exception: It does not work, or shows something else.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the official SDK's own
            getattr(self, f"_{block.language}")(block, block.code.replace(WRITTEN, self._address))

    def _python(self, block: Block, code: str) -> None:
        self._program += code
        exec(compile("\n" * block.line + code, block.page, "exec"), self._names)

    def run_tests(self) -> None:
        """Run the tests that the page's Python has defined."""
        if "def test_" in self._program:
            file = self._folder / "test_page.py"
            file.write_text(self._program)
            tests = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_holdover"]
            tests += ["--rootdir", str(self._folder), str(file)]
            outcome = subprocess.run(tests, capture_output=True, text=True, cwd=self._folder)
            assert outcome.returncode == 0, outcome.stdout

    def _pycon(self, block: Block, code: str) -> None:
        test = doctest.DocTestParser().get_doctest(code, self._names, block.page.name, str(block.page), block.line)
        said: list[str] = []
        doctest.DocTestRunner(_Checker(), verbose=False).run(test, out=said.append, clear_globs=False)
        self._names.update(test.globs)
        assert not said, "".join(said)

    def _console(self, block: Block, code: str) -> None:
        for part in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]:
            match = re.match(r"((?:.*\\\n)*.*)\n?", part)
            assert match is not None
            command, shown = match[1], part[match.end() :]
            for kind, last_id in self._last_ids.items():
                command = command.replace(f"{kind}_…", last_id)
            if command.startswith("holdover serve"):
                command += " --port 0"
            status, got = self._typed(command)
            self._last_ids |= {each.partition("_")[0]: each for each in re.findall(r"(?:asst|thread)_\w{24}", got)}
            assert fits(shown, got), f"$ {command}\n{got}"
            assert (status == 0) is not shown.startswith("holdover:"), f"$ {command}\n{got}({status})"

    def _typed(self, command: str) -> tuple[int, str]:
        """Run a command on a terminal; one that serves is stopped when it has said so."""
        ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "dumb", "COLUMNS": "120"}
        process = subprocess.Popen(
            ["bash", "-c", command], stdin=theirs, stdout=theirs, stderr=theirs, cwd=self._folder, env=environment
        )
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # Linux's way to say that nobody holds the other end any more
            while part := os.read(ours, 65536):
                said += part
                if b"Ctrl-C stops it." in said and process.poll() is None:
                    process.send_signal(signal.SIGINT)
        os.close(ours)
        return process.wait(20), said.decode()

    def _toml(self, block: Block, code: str) -> None:
        file = self._folder / "settings.toml"
        file.write_text(code)
        settings.resolve_service({}, config=str(file))

    def _json(self, block: Block, code: str) -> None:
        json.loads(code)

    def _text(self, block: Block, code: str) -> None:
        return None
