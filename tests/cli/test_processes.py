"""What only shows in a process of its own: pipes, signals, terminals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from tests.client.stub import SILENCE, Streamed, Stub

from .dialog import CTRL_C, Dialog


def test_a_pipe_that_closes_early_is_not_an_error_to_talk_about(command: list[str], shared_url: str) -> None:
    process = subprocess.Popen(
        [*command, "models", "list", "--base-url", shared_url], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == b""
    process.wait(20)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no disk that is always full")
def test_an_output_that_cannot_be_written_is_told_in_a_sentence(command: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        result = subprocess.run([*command, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == "holdover: Input or output failed: No space left on device.\n"


def test_an_interrupt_ends_a_call_at_once_and_quietly(command: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        process = subprocess.Popen(
            [*command, "models", "list", "--base-url", url], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        silent.settimeout(20)
        connection, _ = silent.accept()
        with connection:
            assert connection.recv(4)  # the request is under way
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=5) == (b"", b"")
    assert process.returncode == -signal.SIGINT  # which a shell shows as 130


def test_an_interrupted_download_leaves_nothing_behind(command: list[str], tmp_path: Path) -> None:
    head = (("content-type", "application/octet-stream"), ("content-length", "100000"))
    path = tmp_path / "copy.pdf"
    with Stub(lambda asked: Streamed([b"x" * 5000, SILENCE], head)) as stub:
        words = [*command, "files", "download", "file-1", "-o", str(path), "--base-url", stub.base_url]
        with Dialog(words, TERM="xterm", COLUMNS="200") as dialog:
            dialog.read_until("5.0/100.0 kB")
            dialog.type(CTRL_C)
            assert dialog.end() == 130
    assert list(tmp_path.iterdir()) == []
    assert dialog.raw.count(b"\x1b[?25l") == dialog.raw.count(b"\x1b[?25h") == 1


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, service_url: str, invoke: Any) -> str:
    """The id of the only assistant of a service; its name could confuse a terminal."""
    monkeypatch.setenv("OPENAI_BASE_URL", service_url)
    made = invoke("assistants", "create", "gpt-4o", "--name", "\x1b[31mTutor [bold]", "--metadata", "a=b")
    return str(json.loads(made.stdout)["id"])


def test_a_terminal_gets_tables(seen: str, terminal: Any) -> None:
    code, listed = terminal("assistants", "list")
    heading, row, *_ = listed.splitlines()
    assert code == 0
    assert all(word in heading for word in ("ID", "NAME", "MODEL", "CREATED"))
    assert row.split("  ")[:3] == [seen, r"\u001b[31mTutor [bold]", "gpt-4o"]
    code, shown = terminal("assistants", "show", seen)
    fields = dict(line.split(maxsplit=1) for line in shown.splitlines())
    assert (fields["id"].strip(), fields["metadata"].strip()) == (seen, '{"a":"b"}')


def test_a_narrow_terminal_keeps_ids_whole(seen: str, terminal: Any) -> None:
    assert seen in terminal("assistants", "list", COLUMNS="20")[1]


def test_a_terminal_gets_json_when_asked(seen: str, terminal: Any) -> None:
    code, shown = terminal("assistants", "show", seen, "--json")
    assert code == 0
    assert json.loads(shown)["id"] == seen
    assert shown.startswith('{\n  "id"')


def test_a_terminal_gets_hints(seen: str, terminal: Any, invoke: Any) -> None:
    invoke("assistants", "create", "gpt-4o")
    assert terminal("assistants", "list", "--limit", "1")[1].endswith("There are more: add --all.\n")
    assert terminal("assistants", "delete", seen) == (0, f"Deleted {seen}.\n")


def test_serve_greets_serves_and_stops(command: list[str], tmp_path: Path) -> None:
    words = [*command, "serve", "--port", "0", "--database", str(tmp_path / "here.db"), "--log-level", "warning"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        greeting: list[str] = []
        while not greeting or "Ctrl-C" not in greeting[-1]:
            greeting.append(process.stderr.readline())
            assert greeting[-1], greeting
        shown = "".join(greeting)
        url = greeting[0].split()[-1]
        assert f"OPENAI_BASE_URL={url}/v1\n" in shown
        assert str(tmp_path / "here.db") in shown
        assert "open to this machine" in shown
        with urlopen(f"{url}/health") as answer:
            assert answer.status == 200
        second = subprocess.run(words, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert second.stderr.startswith("holdover: The database")
        assert second.stderr.count("\n") == 1
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0
