"""A runner, as a process of its own, and a service's side of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from holdover.tools.code_interpreter import environment, selection
from holdover.tools.code_interpreter.protocol import Done, Logs, SessionSpec
from holdover.tools.code_interpreter.remote import RemoteSandbox

SECRET = "a secret of more than sixteen characters"


def test_a_runner_answers_and_ends_when_it_is_told_to(command: list[str], tmp_path: Path) -> None:
    if environment.find(str(tmp_path)) is None:
        pytest.skip("the sandbox's packages are not installed: make install does that")
    reports, told, remedy = asyncio.run(selection.inspect(selection.Wanted(data_dir=str(tmp_path))))
    if remedy is not None:
        pytest.skip(f"no jail passes its self-test here: {told}, {reports}")
    address = f"unix:{tmp_path}/sandbox.sock"
    runner = subprocess.Popen(
        [*command, "sandbox", "serve", "--listen", address, "--data-dir", str(tmp_path / "data")],
        env={**os.environ, "HOLDOVER_SANDBOX_SECRET": SECRET},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert runner.stderr is not None
    with runner.stderr:
        assert f"answers at {address}" in runner.stderr.readline()
        assert (tmp_path / "sandbox.sock").stat().st_mode & 0o077 == 0

        async def use() -> list[str]:
            session = await RemoteSandbox(address, SECRET).open(SessionSpec())
            said = [
                event.text if isinstance(event, Logs) else event.status
                async for event in session.execute("import pandas\npandas.Series([1, 2]).sum()")
                if isinstance(event, Logs | Done)
            ]
            runner.send_signal(signal.SIGTERM)
            await session.close()
            return said

        assert asyncio.run(use()) == ["np.int64(3)\n", "ok"]
        assert runner.wait(10) == 0


def test_a_runner_needs_a_secret(invoke: Any, tmp_path: Path) -> None:
    arguments = ("sandbox", "serve", "--listen", f"unix:{tmp_path}/s", "--data-dir", str(tmp_path))
    refused = invoke(*arguments)
    assert refused.exit_code == 1
    assert "HOLDOVER_SANDBOX_SECRET" in refused.stderr


def test_the_doctor_shows_what_code_tried(holdover: Any) -> None:
    import json

    shown = json.loads(holdover("doctor").stdout)["sandboxes"]
    assert [(each["backend"], each["level"]) for each in shown] == [("jail", "namespaces"), ("jail", "landlock")]
    assert all({"name", "passed", "detail"} == set(check) for each in shown for check in each["checks"])


def test_a_sandbox_that_is_not_strong_enough_needs_attention(holdover: Any) -> None:
    import json

    result = holdover("doctor", env={"HOLDOVER_SANDBOX_MIN_LEVEL": "vm"})
    (found,) = [each for each in json.loads(result.stdout)["checks"] if each["check"] == "sandbox"]
    assert "at least vm is wanted" in found["finding"]
    assert found["remedy"]
    assert result.exit_code == 1
