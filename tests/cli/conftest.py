"""The command line as tests call it: in this process, in one of its own, and on a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from holdover.cli.main import main

Invoke = Callable[..., Result]
Terminal = Callable[..., tuple[int, str]]


@pytest.fixture
def invoke() -> Invoke:
    """Call the command line in this process; its output is a pipe."""

    def call(*arguments: str, **options: Any) -> Result:
        return CliRunner().invoke(main, arguments, prog_name="holdover", **options)

    return call


@pytest.fixture
def holdover(monkeypatch: pytest.MonkeyPatch, shared_url: str, invoke: Invoke) -> Invoke:
    """Call the command line in this process with a service to talk to."""
    monkeypatch.setenv("OPENAI_BASE_URL", shared_url)
    return invoke


@pytest.fixture
def assistant(holdover: Invoke) -> dict[str, Any]:
    """An assistant of the service."""
    made: dict[str, Any] = json.loads(holdover("assistants", "create", "gpt-4o", "--name", "Tutor").stdout)
    return made


@pytest.fixture
def command() -> list[str]:
    """The words that run the command line in a process of its own."""
    return [sys.executable, "-m", "holdover"]


@pytest.fixture
def terminal(command: list[str]) -> Terminal:
    """Call the command line on a terminal of 100 columns; returns the exit code and what the terminal got."""

    def call(*arguments: str, **environment: str) -> tuple[int, str]:
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [*command, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=os.environ | {"COLUMNS": "100", "TERM": "xterm"} | environment,
        )
        os.close(slave)
        shown = b""
        try:
            while part := os.read(master, 65536):
                shown += part
        except OSError:  # how Linux says that nobody is left to write
            pass
        os.close(master)
        return process.wait(20), shown.decode().replace("\r\n", "\n")

    return call
