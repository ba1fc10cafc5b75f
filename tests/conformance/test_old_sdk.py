"""The official SDK as programs of 2024 still use it: the same tests, with that package in place of the newest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: Where ``make install`` puts it, with the packages of its time.
OLD_SDK = Path(sys.prefix) / "openai-2024"
TESTS = sorted(Path(__file__).parent.glob("test_official_sdk*.py"))


@pytest.mark.skipif(not (OLD_SDK / "openai").is_dir(), reason="no SDK of 2024: `make install` brings it")
def test_the_sdk_of_2024_finds_everything_as_it_was() -> None:
    path = [str(OLD_SDK), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *map(str, TESTS), "-p", "no:cacheprovider", "-x", "-rs"],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path),
            "SDK_UNDER_TEST": "1.",
        },
        cwd=Path(__file__).parent.parent.parent,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    skipped = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    assert all("no sandbox" in line for line in skipped), "all but what a machine lacks is tried"
