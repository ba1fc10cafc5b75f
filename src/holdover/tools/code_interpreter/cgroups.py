"""Control groups (version 2), where the system hands us a part of their tree, as systemd does with ``Delegate=yes``.

They bound a session's memory as a whole, its tmpfs included, and tell when that was used up. Elsewhere the limits of
the process stand alone.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from .guest import End
from .protocol import SessionSpec

ROOT = Path("/sys/fs/cgroup")
NEEDED = {"memory", "pids"}
#: Where the service itself goes: a group that has processes cannot hand controllers to groups beneath it.
OWN = "holdover-service"


def delegated(root: Path = ROOT, membership: Path = Path("/proc/self/cgroup")) -> Path | None:
    """Return the group beneath which groups for sessions can be made, after making it ready; ``None`` if there is none.

    It moves this process into a group of its own beneath the one that it was given.
    """
    try:
        ours = next(line[3:].strip() for line in membership.read_text().splitlines() if line.startswith("0::"))
        group = root / ours.lstrip("/")
        if group.name == OWN:
            group = group.parent
        if group == root or not set((group / "cgroup.controllers").read_text().split()) >= NEEDED:
            return None  # the root of the tree is the system's, however much we may write there
        if not os.access(group / "cgroup.procs", os.W_OK) or not os.access(group, os.W_OK):
            return None
        if not set((group / "cgroup.subtree_control").read_text().split()) >= NEEDED:
            (group / OWN).mkdir(exist_ok=True)
            (group / OWN / "cgroup.procs").write_text(str(os.getpid()))
            (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(NEEDED)))
    except (OSError, StopIteration):
        return None
    return group


class GroupWatch:
    """Puts a guest into a group with limits; removes the group when it is gone. See `process.Watch`."""

    def __init__(self, parent: Path, spec: SessionSpec) -> None:
        self._group = parent / f"holdover-session-{secrets.token_hex(8)}"
        self._limits = {
            "memory.max": spec.memory_bytes,
            "memory.swap.max": 0,
            "memory.oom.group": 1,
            "pids.max": spec.max_threads + 8,
        }

    async def begin(self, process_id: int) -> None:
        self._group.mkdir()
        for name, limit in self._limits.items():
            with contextlib.suppress(FileNotFoundError):  # a kernel without swap has no limit on it
                (self._group / name).write_text(str(limit))
        (self._group / "cgroup.procs").write_text(str(process_id))

    async def rest(self, is_resting: bool) -> None:
        pass  # a group can be frozen too, but the process stands still already

    async def end(self) -> End | None:
        with contextlib.suppress(OSError):
            events = dict(line.split() for line in (self._group / "memory.events").read_text().splitlines())
            was_oom = int(events.get("oom_kill", "0")) > 0
            self._group.rmdir()
            return End("oom") if was_oom else None
        return None
