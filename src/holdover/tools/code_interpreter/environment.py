"""The sandbox's packages: a folder of their own, made once from locked requirements, never the server's.

The folder is ``<root>/<key>``, where the key stands for the requirements and the Python: a new release makes a new one
beside the old. It appears whole or not at all. Making it needs pip or uv and their index; using it needs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import platform
import secrets
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import msgspec

from .interpreter import FLAGS, Interpreter, base_interpreter
from .protocol import SandboxError

#: What `make lock` writes from requirements/sandbox.in; it is here so that it travels with the code.
REQUIREMENTS = Path(__file__).with_name("sandbox.txt")
#: Removed after installing: programs, and tests that nobody runs in a cell.
_UNUSED = ("bin", "share")
_LIST_FONTS = "import sys; sys.path.append(sys.argv[1]); import matplotlib.font_manager"


def key() -> str:
    """Return the name of the folder for this release and this Python."""
    parts = (REQUIREMENTS.read_bytes(), platform.python_version().encode(), platform.machine().encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def roots(data_dir: str) -> tuple[Path, ...]:
    """Return where the packages may be: in the data folder, or in the server's environment (``make install``)."""
    return (Path(data_dir, "sandbox"), Path(sys.prefix, "sandbox"))


def find(data_dir: str) -> Interpreter | None:
    """Return the Python with the sandbox's packages, ``None`` where they have not been made."""
    for root in roots(data_dir):
        if (folder := root / key()).is_dir():
            return _interpreter(folder)
    return None


def _interpreter(folder: Path) -> Interpreter:
    return msgspec.structs.replace(base_interpreter(), packages=str(folder / "packages"), fonts=str(folder / "fonts"))


async def build(root: Path) -> Interpreter:
    """Make the packages in a folder, if they are not there; one process makes them, others wait for it.

    Raises:
        SandboxError: It cannot be done; the message says what to do.
    """
    folder = root / key()
    with _closing(await asyncio.to_thread(_lock, folder)) as is_made:
        if not is_made:
            await _make(folder)
    return _interpreter(folder)


def _lock(folder: Path) -> tuple[int, bool]:
    """Wait until nobody else makes the folder; return the lock, and whether the folder is there."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(f"{folder}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise SandboxError(f"The sandbox's packages cannot be kept in {folder.parent}: {error.strerror}.") from error
    return lock, folder.is_dir()


async def _make(folder: Path) -> None:
    partial = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.partial")
    packages, fonts = partial / "packages", partial / "fonts"
    try:
        await _run(*_installer(), "--target", str(packages), *_OPTIONS, "-r", str(REQUIREMENTS))
        for name in _UNUSED:
            shutil.rmtree(packages / name, ignore_errors=True)
        fonts.mkdir()
        # Matplotlib looks at every font of the system, once.
        listing = [base_interpreter().executable, *FLAGS, "-c", _LIST_FONTS, str(packages)]
        await _run(*listing, environment={"MPLCONFIGDIR": str(fonts), "HOME": str(fonts)})
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


#: Only what is locked, only what needs no building: building would run code of the packages as us.
_OPTIONS = ("--require-hashes", "--only-binary", ":all:", "--no-deps")


def _installer() -> list[str]:
    """Return the command that installs, for the Python that the guest will have.

    Raises:
        SandboxError: There is none.
    """
    if find_spec("pip") is not None:
        pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-warn-script-location"]
        return [*pip, "--quiet", "--no-input", "--ignore-installed"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--quiet", "--python", base_interpreter().executable, "--compile-bytecode"]
    raise SandboxError(
        "The sandbox's packages need pip or uv to be installed. "
        f"Run: {sys.executable} -m ensurepip; then: holdover sandbox setup"
    )


async def _run(*command: str, environment: dict[str, str] | None = None) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )
    try:
        said, _ = await process.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode:
        last = said.decode("utf-8", "replace").strip().rpartition("\n")[2][:300]
        raise SandboxError(
            f"The sandbox's packages could not be installed: {last} With a network, run: holdover sandbox setup."
        )


@contextlib.contextmanager
def _closing(locked: tuple[int, bool]) -> Iterator[bool]:
    try:
        yield locked[1]
    finally:
        os.close(locked[0])
