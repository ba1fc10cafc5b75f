"""The live self-test: a session is opened, and code inside it tries to get out.

What a binary's name or a kernel's version promise counts for nothing; a backend can be used when every one of these
attempts failed.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from .protocol import (
    Check,
    Done,
    Logs,
    ProbeReport,
    SandboxBackend,
    SandboxError,
    SessionSpec,
)

TIMEOUT_S = 20.0

#: Each attempt returns what it got hold of; failing is what is hoped for.
_ATTEMPTS = """
import ctypes, os, sys, threading
libc = ctypes.CDLL(None, use_errno=True)

def reads_a_file():
    with open(PLANTED) as file:
        return file.read()

def lists_the_folder_of_a_file():
    return os.listdir(os.path.dirname(PLANTED))

def reads_the_users():
    return open("/etc/shadow").read() or open("/root/.ssh/id_rsa").read()

def sees_our_environment():
    names = {"HOME", "TMPDIR", "LANG", "TZ", "MPLBACKEND", "MPLCONFIGDIR", "JOBLIB_MULTIPROCESSING"}
    return [each for each in os.environ if each not in names and not each.endswith("_NUM_THREADS")]

def reads_another_environment():
    return open(f"/proc/{SERVER}/environ", "rb").read()

def writes_beside_its_folder():
    with open(os.path.join(os.path.dirname(PLANTED), "written"), "w") as file:
        file.write("x")
    return "written"

def writes_its_library():
    with open(os.path.join(os.path.dirname(os.__file__), "written.py"), "w") as file:
        file.write("x")
    return "written"

def connects():
    import socket
    with socket.create_connection(("127.0.0.1", PORT), 2):
        return "connected"

def makes_a_unix_socket():
    import socket
    return socket.socket(socket.AF_UNIX)

def forks():
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    return "forked"

def starts_a_program():
    os.execv("/usr/bin/env", ["env"])

def signals_the_server():
    os.kill(SERVER, 0)
    return "signalled"

def makes_a_namespace():
    return libc.unshare(0x10000000) == 0

def traces():
    return libc.ptrace(16, SERVER, 0, 0) == 0

def changes_the_mode_of_a_file():
    before = os.stat(PLANTED).st_mode
    os.chmod(PLANTED, 0o777)
    return os.stat(PLANTED).st_mode != before

def fills_the_memory():
    return len(bytearray(MEMORY))

found = {}
for attempt in (reads_a_file, lists_the_folder_of_a_file, reads_the_users, sees_our_environment,
                reads_another_environment, writes_beside_its_folder, writes_its_library, connects, makes_a_unix_socket,
                forks, starts_a_program, signals_the_server, makes_a_namespace, traces, changes_the_mode_of_a_file,
                fills_the_memory):
    try:
        found[attempt.__name__] = str(attempt() or "")[:100]
    except (OSError, MemoryError):
        found[attempt.__name__] = ""
import json
print(json.dumps(found))
"""


async def probe(backend: SandboxBackend, *, remedy: str, notes: tuple[str, ...] = ()) -> ProbeReport:
    """Try a backend."""
    checks: tuple[Check, ...]
    try:
        checks = tuple(await _attempts(backend))
    except SandboxError as error:
        checks = (Check("starts", False, str(error)),)
    report = ProbeReport(backend=backend.name, level=backend.level, checks=checks)
    if report.passed:
        return msgspec.structs.replace(report, notes=notes)
    return msgspec.structs.replace(report, remedy=remedy)


async def _attempts(backend: SandboxBackend) -> list[Check]:
    spec = SessionSpec(exec_timeout_s=TIMEOUT_S, memory_bytes=1 << 30, disk_bytes=16 << 20, preload=())
    with _planted() as (path, port):
        told = f"PLANTED, PORT, SERVER, MEMORY = {path!r}, {port}, {os.getpid()}, {4 << 30}\n"
        session = await backend.open(spec)
        printed, done = "", None
        try:
            async for event in session.execute(told + _ATTEMPTS):
                match event:
                    case Logs(text=text):
                        printed += text
                    case Done():
                        done = event
                    case _:
                        pass
        finally:
            await session.close()
    try:
        found = msgspec.json.decode(printed, type=dict[str, str])
    except msgspec.MsgspecError:
        said = printed.strip().rpartition("\n")[2] or (done.message if done else "")
        return [Check("starts", True), Check("runs code", False, said)]
    return [
        Check("starts", True),
        Check("runs code", True),
        *(Check(name.replace("_", " "), not got, got) for name, got in found.items()),
    ]


@contextmanager
def _planted() -> Iterator[tuple[str, int]]:
    """Leave a file and a listener where a guest without walls would find them."""
    with (
        tempfile.TemporaryDirectory(prefix="holdover-probe-") as folder,
        socket.create_server(("127.0.0.1", 0)) as door,
    ):
        path = os.path.join(folder, "planted")
        with open(path, "w") as file:
            file.write("a secret")
        yield path, int(door.getsockname()[1])
