"""Files and uploads on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def answered(result: Any) -> Any:
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "handbook.txt"
    path.write_bytes(b"Hello.")
    return path


def test_a_file_lives_from_upload_to_delete(holdover: Any, path: Path) -> None:
    made = answered(holdover("files", "upload", str(path), "--purpose", "user_data"))
    assert (made["filename"], made["bytes"], made["purpose"]) == ("handbook.txt", 6, "user_data")
    assert answered(holdover("files", "show", made["id"])) == made
    assert made in answered(holdover("files", "list", "--purpose", "user_data"))["data"]
    copied = holdover("files", "download", made["id"], "-o", "copy.txt")
    assert (copied.exit_code, copied.stdout, copied.stderr) == (0, "", "copy.txt: 6 bytes.\n")
    assert (path.parent / "copy.txt").read_bytes() == b"Hello."
    assert holdover("files", "download", made["id"], "-o", "-").stdout == "Hello."
    assert answered(holdover("files", "delete", made["id"]))["deleted"] is True
    assert holdover("files", "show", made["id"]).exit_code == 4


def test_a_file_that_is_here_is_not_replaced_unless_that_is_said(holdover: Any, path: Path) -> None:
    made = answered(holdover("files", "upload", str(path)))
    path.write_bytes(b"precious")
    saved = holdover("files", "download", made["id"])
    assert saved.exit_code == 0
    assert path.read_bytes() == b"precious"
    assert (path.parent / f"{made['id']}.txt").read_bytes() == b"Hello."


@pytest.mark.parametrize("name", ["../escape.txt", "/tmp/escape.txt", "..", "a\nb.txt", "\u202egnp.exe"])
def test_what_a_file_is_called_names_no_place_outside_of_this_folder(holdover: Any, path: Path, name: str) -> None:
    made = answered(holdover("files", "upload", str(path), "--filename", name))
    assert made["filename"] == name
    before = set(path.parent.parent.iterdir())
    assert holdover("files", "download", made["id"]).exit_code == 0
    assert set(path.parent.parent.iterdir()) == before
    (saved,) = set(path.parent.iterdir()) - {path}
    assert saved.name.isprintable()
    assert saved.read_bytes() == b"Hello."


def test_an_upload_is_made_of_its_parts(holdover: Any, path: Path) -> None:
    upload = answered(holdover("uploads", "create", "big.txt", "assistants", "12", "text/plain"))
    parts = [answered(holdover("uploads", "add", upload["id"], str(path)))["id"] for _ in range(2)]
    done = answered(holdover("uploads", "complete", upload["id"], *parts))
    assert (done["status"], done["file"]["bytes"]) == ("completed", 12)
    assert holdover("uploads", "cancel", upload["id"]).exit_code == 4
