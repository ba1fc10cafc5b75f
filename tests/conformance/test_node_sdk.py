"""Runs, as the official SDK for Node asks for them: streamed, polled, with function calls, and refused.

The package is put into ``.venv/openai-node`` by `make install`, where there is Node.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent / "node" / "conversation.mjs"
PACKAGE = Path(sys.prefix) / "openai-node" / "node_modules" / "openai" / "index.mjs"

pytestmark = pytest.mark.skipif(
    not (shutil.which("node") and PACKAGE.exists()), reason="there is no Node, or no package openai for it"
)


@pytest.fixture(scope="module")
def told(shared_url: str) -> Any:
    """What an app came to: all of it in one process, for Node takes its time to start."""
    done = subprocess.run(
        ["node", str(SCRIPT), shared_url, PACKAGE.resolve().as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_run_by_its_events(told: Any) -> None:
    assert told["streamed"] == {
        "events": [
            "thread.run.created",
            "thread.run.queued",
            "thread.run.in_progress",
            "thread.run.step.created",
            "thread.run.step.in_progress",
            "thread.message.created",
            "thread.message.in_progress",
            *["thread.message.delta"] * 3,
            "thread.message.completed",
            "thread.run.step.completed",
            "thread.run.completed",
        ],
        "text": "One two three",
        "status": "completed",
        "messages": ["One two three"],
        "steps": ["completed"],
    }


def test_a_run_by_polling(told: Any) -> None:
    assert told["polled"] == {"status": "completed", "messages": ["Yes", "!say Yes"]}


def test_function_calls_that_are_answered_in_a_stream(told: Any) -> None:
    assert told["called"] == {
        "waiting": "requires_action",
        "calls": ["get_weather", "get_weather"],
        "snapshots": ['{"city": "Rome"}', '{"city": "Oslo"}'],
        "status": "completed",
        "messages": ["The answer is: 18 in Rome; 18 in Oslo"],
    }


def test_a_locked_thread_is_refused_in_the_hosted_words(told: Any) -> None:
    assert told["refused"] == {"name": "BadRequestError", "status": 400, "isTold": True, "cancelled": "cancelling"}
