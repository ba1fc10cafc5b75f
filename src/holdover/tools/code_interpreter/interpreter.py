"""Which Python runs in the jail, and what it must be able to read: its library, the system's, its own packages.

It is the Python that this one was made from, started without any packages; those of the sandbox are a folder of their
own (``environment.py``). The server's packages are never among what can be read.
"""

from __future__ import annotations

import os
import stat
import sys
import sysconfig

import msgspec

#: Shared libraries, time zones, fonts, kinds of files; whatever of it is there.
SYSTEM = (
    "/usr/lib",
    "/usr/lib64",
    "/lib",
    "/lib64",
    "/usr/share/zoneinfo",
    "/usr/share/fonts",
    "/etc/ld.so.cache",
    "/etc/mime.types",  # looked for by a module of the library, and read when it is there
)
#: Folders of packages inside a library: what somebody installed there is none of the guest's business.
PACKAGES = ("site-packages", "dist-packages")
#: How it is started: isolated from its surroundings, without packages, in UTF-8, writing no compiled modules.
FLAGS = ("-I", "-S", "-B", "-X", "utf8")


class Interpreter(msgspec.Struct, frozen=True, kw_only=True):
    """A Python for the jail.

    Attributes:
        executable: Its program.
        readable: Files and folders that it needs, without links.
        hidden: Folders within them that it must not read.
        packages: The folder of the sandbox's packages, or ``None``: then it has its standard library only.
        fonts: The folder with Matplotlib's list of fonts, or ``None``.
    """

    executable: str
    readable: tuple[str, ...]
    hidden: tuple[str, ...] = ()
    packages: str | None = None
    fonts: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """Everything that it must be able to read."""
        return tuple(filter(None, (self.executable, *self.readable, self.packages, self.fonts)))

    def is_open_to_all(self) -> bool:
        """Whether a user that owns nothing can read it all: only then can the guest be such a user."""
        return all(is_open(path) for path in self.paths)


def base_interpreter() -> Interpreter:
    """Return the Python that this one was made from, without packages."""
    executable = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    base = {"installed_base": sys.base_prefix, "platbase": sys.base_exec_prefix}  # not the virtual environment's
    library = [os.path.realpath(sysconfig.get_path(name, vars=base)) for name in ("stdlib", "platstdlib")]
    shared = os.path.realpath(str(sysconfig.get_config_var("LIBDIR") or library[0]))
    readable = _without_nested([*library, shared, *(os.path.realpath(each) for each in SYSTEM)])
    hidden = {os.path.join(each, name) for each in library for name in PACKAGES}
    return Interpreter(
        executable=executable,
        readable=tuple(path for path in readable if os.path.exists(path)),
        hidden=tuple(sorted(path for path in hidden if os.path.isdir(path))),
    )


def _without_nested(paths: list[str]) -> list[str]:
    unique = sorted(set(paths))
    return [path for path in unique if not any(path.startswith(f"{other}/") for other in unique)]


def is_open(path: str) -> bool:
    """Whether a user that owns nothing can read a file or a folder."""
    try:
        mode = os.stat(path).st_mode
        wanted = 0o005 if stat.S_ISDIR(mode) else 0o004
        parents = (os.stat(parent).st_mode for parent in _parents(path))
        return mode & wanted == wanted and all(parent & 0o001 for parent in parents)
    except OSError:
        return False


def _parents(path: str) -> list[str]:
    parents = []
    while (parent := os.path.dirname(path)) != path:
        parents.append(parent)
        path = parent
    return parents
