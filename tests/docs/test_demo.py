"""The demonstration's plot: drawn where there is a sandbox, and a kind word where there is none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from holdover.service.sandboxes import inspect_sandbox
from holdover.settings import load_service_settings, resolve_service
from holdover.tools.code_interpreter import environment

DEMO = Path(__file__).parents[2] / "demo" / "plot.py"


def told(**variables: str) -> str:
    done = subprocess.run(
        [sys.executable, str(DEMO)], env={**os.environ, **variables}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_plot_is_drawn_and_kept(tmp_path: Path) -> None:
    _, _, remedy = inspect_sandbox(load_service_settings(resolve_service({})))
    if remedy is not None or environment.find("/nowhere") is None:
        pytest.skip(f"no sandbox: {remedy or 'its packages are not installed, make install does that'}")
    said = told(TMPDIR=str(tmp_path))
    assert "The code printed: in all: 2480" in said
    path = re.search(r"The plot is in (\S+)", said)
    assert path is not None
    assert Path(path[1]).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_where_no_sandbox_is_the_remedy_is_named() -> None:
    said = told(HOLDOVER_SANDBOX="off")
    assert "This service cannot run code" in said
    assert "holdover doctor" in said
    assert "The plot is in" not in said
