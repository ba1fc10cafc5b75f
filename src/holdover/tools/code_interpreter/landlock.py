"""Landlock: which files a process may open, said by itself and kept by the kernel (5.13 and later).

Here is what is asked of it: pure tables, and the three numbers of a ruleset for what the running kernel knows.
Numbers are those of ``linux/landlock.h``.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable, Iterator

import msgspec

from .interpreter import Interpreter

CREATE_RULESET = 444
VERSION_FLAG = 1

WRITE_FILE, READ_FILE, READ_DIR = 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
REFER, TRUNCATE = 1 << 13, 1 << 14

READ = READ_FILE | READ_DIR
#: Everything with regular files and folders; no links, devices, pipes or sockets can be made.
WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER | TRUNCATE

#: All rights over files that each version of the interface knows; later ones know the last one's.
FS_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
#: To bind and connect TCP, since version 4; signals and abstract sockets to outside, since version 6.
NET_RIGHTS, SCOPES = 0b11, 0b11

DEVICES = (("/dev/null", READ_FILE | WRITE_FILE), ("/dev/zero", READ_FILE), ("/dev/urandom", READ_FILE))


class Ruleset(msgspec.Struct, frozen=True):
    """What the worker asks of the kernel: rights that are taken, and paths where some are given back.

    ``size`` is how many bytes of the structure the kernel knows.
    """

    fs: int
    net: int
    scoped: int
    size: int
    rules: tuple[tuple[str, int], ...]


def version() -> int:
    """Return the version of Landlock that the kernel has; 0 where it has none or it is switched off."""
    if sys.platform != "linux":
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, int(libc.syscall(ctypes.c_long(CREATE_RULESET), None, ctypes.c_size_t(0), VERSION_FLAG)))


def ruleset(version: int, interpreter: Interpreter, *writable: str) -> Ruleset:
    """Return the rules for a guest: its Python can be read, some folders can be written."""
    known = FS_RIGHTS[min(version, max(FS_RIGHTS))]
    rules = [*_reading(interpreter), *((path, WRITE) for path in writable), *DEVICES]
    return Ruleset(
        fs=known,
        net=NET_RIGHTS if version >= 4 else 0,
        scoped=SCOPES if version >= 6 else 0,
        size=24 if version >= 6 else 16 if version >= 4 else 8,
        rules=tuple((path, access & known) for path, access in rules),
    )


def _reading(interpreter: Interpreter) -> Iterator[tuple[str, int]]:
    for path in (interpreter.executable, *interpreter.readable):
        yield from _allow(path, [each for each in interpreter.hidden if _is_within(each, path)])
    # Not looked at: inside namespaces they are elsewhere than here.
    for folder in (interpreter.packages, interpreter.fonts):
        if folder is not None:
            yield folder, READ


def _allow(path: str, hidden: list[str]) -> Iterator[tuple[str, int]]:
    """Allow to read a folder but not what is hidden in it: rules only add, so its other members get one each."""
    if not os.path.isdir(path):
        yield path, READ_FILE
    elif not hidden:
        yield path, READ
    else:
        yield path, READ_DIR
        for name in sorted(os.listdir(path)):
            member = os.path.join(path, name)
            if member not in hidden and not os.path.islink(member):
                yield from _allow(member, [each for each in hidden if _is_within(each, member)])


def _is_within(path: str, folder: str) -> bool:
    return os.path.commonpath((path, folder)) == folder


def missing(version: int) -> Iterable[str]:
    """Say what an older Landlock does not keep; the filter of system calls stands in for all of it."""
    if version < 6:
        yield f"Landlock is of version {version}: signals to other processes are stopped by the filter alone."
