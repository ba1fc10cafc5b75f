"""What a worker is told before it locks itself in: every wall that it builds, as data."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from . import seccomp
from .interpreter import Interpreter
from .landlock import Ruleset
from .protocol import DATA, SessionSpec

#: Stacks and arenas are address space too; a pipe or an open file is not, so there are few.
MAX_OPEN_FILES = 128
#: One thread a library: the machine is shared.
THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Mount(msgspec.Struct, frozen=True):
    """A tmpfs that the worker mounts itself, in a namespace of its own; its folders appear where they are used."""

    target: str
    options: str
    folders: tuple[str, ...]


class Setup(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="setup"):
    """The first frame. See ``_confine`` in ``worker.py`` for what is done with it, and in which order.

    Attributes:
        mount: Where files go; ``None`` where the host made the folder.
        uid: Whom to become, ``None`` to stay.
        parent: The process to die with, where the worker can see it.
        data, tmp: The folders of files and of what is temporary.
        seccomp: The filter's program, in hexadecimal.
    """

    mount: Mount | None
    uid: int | None
    parent: int | None
    data: str
    tmp: str
    environment: Mapping[str, str]
    landlock: Ruleset | None
    limits: Mapping[str, int]
    seccomp: str
    sys_path: tuple[str, ...]
    fonts: str | None
    max_files: int
    file_bytes: int
    output_bytes: int
    image_bytes: int
    max_images: int
    max_reported_files: int


def compose(
    spec: SessionSpec,
    interpreter: Interpreter,
    architecture: seccomp.Architecture,
    *,
    data: str,
    tmp: str,
    process_id: int,
    landlock: Ruleset | None,
    mount: Mount | None = None,
    uid: int | None = None,
    parent: int | None = None,
    counts_threads: bool = False,
) -> Setup:
    """Return the first frame of a session.

    Args:
        data, tmp: The folders that can be written.
        process_id: As the worker sees itself.
        counts_threads: Whether the kernel counts processes for this guest alone, so that they can be limited.
    """
    limits = {
        "RLIMIT_AS": spec.memory_bytes,
        "RLIMIT_FSIZE": spec.file_bytes,
        "RLIMIT_NOFILE": MAX_OPEN_FILES,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
    }
    if counts_threads:
        limits["RLIMIT_NPROC"] = spec.max_threads
    return Setup(
        mount=mount,
        uid=uid,
        parent=parent,
        data=data,
        tmp=tmp,
        environment={
            "HOME": DATA,
            "TMPDIR": tmp,
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "MPLBACKEND": "module://holdover_figures",
            "MPLCONFIGDIR": f"{tmp}/matplotlib",
            "JOBLIB_MULTIPROCESSING": "0",  # there are no other processes: it need not find that out, and say so
            **dict.fromkeys(THREAD_VARIABLES, "1"),
        },
        landlock=landlock,
        limits=limits,
        seccomp=seccomp.assemble(architecture, process_id=process_id).hex(),
        sys_path=(interpreter.packages,) if interpreter.packages else (),
        fonts=interpreter.fonts,
        max_files=spec.max_files,
        file_bytes=spec.file_bytes,
        output_bytes=spec.output_bytes,
        image_bytes=spec.image_bytes,
        max_images=spec.max_images,
        max_reported_files=spec.max_reported_files,
    )
