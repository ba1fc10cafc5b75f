"""Which system calls a guest may make: one allow-list, assembled into a BPF program for the kernel.

The list is what a running CPython with numpy, pandas and Matplotlib needs after it has started: the worker installs the
program on itself (``worker.py``), so that not even ``execve`` is in it. Everything else fails with EPERM, numbers that
are newer than the list with ENOSYS, and a call by another architecture's table ends the process.

Numbers are those of the kernel's ``arch/x86/entry/syscalls/syscall_64.tbl`` and ``include/uapi/asm-generic/unistd.h``;
the form of a program is that of ``linux/bpf_common.h`` and ``linux/seccomp.h``.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Iterator, Mapping

import msgspec

# How a filter answers: `linux/seccomp.h`.
KILL_PROCESS = 0x80000000
ERRNO = 0x00050000
ALLOW = 0x7FFF0000

DENIED = ERRNO | errno.EPERM
ABSENT = ERRNO | errno.ENOSYS
#: Fails as on what is no terminal, which is what programs ask.
NO_TERMINAL = ERRNO | errno.ENOTTY
#: Is not carried out, and says that it was: who copies a file also sets its mode and times, which no wall of Landlock
#: would keep from files that the guest can merely name.
PRETENDED = ERRNO | 0

# Instructions: `linux/bpf_common.h`.
LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS
JUMP_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
JUMP_IF_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
RETURN = 0x06  # BPF_RET | BPF_K

# Where things are in `struct seccomp_data`: nr, arch, instruction_pointer, args[6].
NUMBER, ARCHITECTURE = 0, 4


def _low(argument: int) -> int:
    return 16 + 8 * argument


def _high(argument: int) -> int:
    return 20 + 8 * argument


class Architecture(msgspec.Struct, frozen=True):
    """A machine: its audit number, which column of the table is its, and the least number that is newer than it."""

    audit: int
    column: int
    newer: int = 463
    x32: int | None = None


ARCHITECTURES: dict[str, Architecture] = {
    "x86_64": Architecture(audit=0xC000003E, column=0, x32=0x40000000),
    "aarch64": Architecture(audit=0xC00000B7, column=1),
}

#: Allowed whatever their arguments: name, number on x86-64, number on aarch64 (``None`` where it has no such call).
ALLOWED: tuple[tuple[str, int | None, int | None], ...] = (
    # reading and writing what is open
    ("read", 0, 63),
    ("write", 1, 64),
    ("readv", 19, 65),
    ("writev", 20, 66),
    ("pread64", 17, 67),
    ("pwrite64", 18, 68),
    ("preadv", 295, 69),
    ("pwritev", 296, 70),
    ("preadv2", 327, 286),
    ("pwritev2", 328, 287),
    ("lseek", 8, 62),
    ("sendfile", 40, 71),
    ("copy_file_range", 326, 285),
    ("fsync", 74, 82),
    ("fdatasync", 75, 83),
    ("ftruncate", 77, 46),
    ("fallocate", 285, 47),
    ("fadvise64", 221, 223),
    ("readahead", 187, 213),
    ("flock", 73, 32),
    # opening, closing and looking: which paths, the walls of the file system say
    ("open", 2, None),
    ("openat", 257, 56),
    ("creat", 85, None),
    ("close", 3, 57),
    ("close_range", 436, 436),
    ("dup", 32, 23),
    ("dup2", 33, None),
    ("dup3", 292, 24),
    ("pipe", 22, None),
    ("pipe2", 293, 59),
    ("stat", 4, None),
    ("fstat", 5, 80),
    ("lstat", 6, None),
    ("newfstatat", 262, 79),
    ("statx", 332, 291),
    ("statfs", 137, 43),
    ("fstatfs", 138, 44),
    ("access", 21, None),
    ("faccessat", 269, 48),
    ("faccessat2", 439, 439),
    ("readlink", 89, None),
    ("readlinkat", 267, 78),
    ("getdents", 78, None),
    ("getdents64", 217, 61),
    ("getcwd", 79, 17),
    ("chdir", 80, 49),
    ("fchdir", 81, 50),
    ("umask", 95, 166),
    # altering the tree; no links, no nodes
    ("mkdir", 83, None),
    ("mkdirat", 258, 34),
    ("rmdir", 84, None),
    ("unlink", 87, None),
    ("unlinkat", 263, 35),
    ("rename", 82, None),
    ("renameat", 264, 38),
    ("renameat2", 316, 276),
    # memory
    ("mmap", 9, 222),
    ("munmap", 11, 215),
    ("mremap", 25, 216),
    ("mprotect", 10, 226),
    ("brk", 12, 214),
    ("madvise", 28, 233),
    ("mincore", 27, 232),
    ("msync", 26, 227),
    # threads, waiting, signals to oneself
    ("futex", 202, 98),
    ("set_robust_list", 273, 99),
    ("get_robust_list", 274, 100),
    ("rseq", 334, 293),
    ("set_tid_address", 218, 96),
    ("gettid", 186, 178),
    ("sched_yield", 24, 124),
    ("sched_getaffinity", 204, 123),
    ("getcpu", 309, 168),
    ("membarrier", 324, 283),
    ("exit", 60, 93),
    ("exit_group", 231, 94),
    ("restart_syscall", 219, 128),
    ("poll", 7, None),
    ("ppoll", 271, 73),
    ("select", 23, None),
    ("pselect6", 270, 72),
    ("pause", 34, None),
    ("rt_sigaction", 13, 134),
    ("rt_sigprocmask", 14, 135),
    ("rt_sigreturn", 15, 139),
    ("rt_sigpending", 127, 136),
    ("rt_sigtimedwait", 128, 137),
    ("rt_sigsuspend", 130, 133),
    ("sigaltstack", 131, 132),
    # time
    ("clock_gettime", 228, 113),
    ("clock_getres", 229, 114),
    ("clock_nanosleep", 230, 115),
    ("nanosleep", 35, 101),
    ("gettimeofday", 96, 169),
    ("time", 201, None),
    ("times", 100, 153),
    ("alarm", 37, None),
    ("getitimer", 36, 102),
    ("setitimer", 38, 103),
    # who and where one is
    ("getpid", 39, 172),
    ("getppid", 110, 173),
    ("getuid", 102, 174),
    ("geteuid", 107, 175),
    ("getgid", 104, 176),
    ("getegid", 108, 177),
    ("getresuid", 118, 148),
    ("getresgid", 120, 150),
    ("getgroups", 115, 158),
    ("getpgrp", 111, None),
    ("getpgid", 121, 155),
    ("getsid", 124, 156),
    ("getrusage", 98, 165),
    ("getrlimit", 97, 163),
    ("uname", 63, 160),
    ("sysinfo", 99, 179),
    ("getrandom", 318, 278),
)

#: Not carried out, and not refused.
PRETENDING: tuple[tuple[str, int | None, int | None], ...] = (
    ("chmod", 90, None),
    ("fchmod", 91, 52),
    ("fchmodat", 268, 53),
    ("fchmodat2", 452, 452),
    ("utime", 132, None),
    ("utimes", 235, None),
    ("futimesat", 261, None),
    ("utimensat", 280, 88),
)

#: What C libraries try first and do without when it is absent.
MISSING: tuple[tuple[str, int | None, int | None], ...] = (
    ("clone3", 435, 435),
    ("openat2", 437, 437),
)

# Calls whose arguments decide, beside those of their own functions below.
CLONE, FCNTL, IOCTL, PRCTL, PRLIMIT = (56, 220), (72, 25), (16, 29), (157, 167), (302, 261)
#: To signal: the thread group is the first argument of each.
SIGNALS: Mapping[str, tuple[int, int]] = {"kill": (62, 129), "tgkill": (234, 131)}

CLONE_THREAD = 0x00010000
#: CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET: a thread has no use for them.
CLONE_NEW = 0x00000080 | 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
#: FIONREAD, FIONBIO, FIONCLEX, FIOCLEX. The rest answers as no terminal does.
IOCTLS = (0x541B, 0x5421, 0x5450, 0x5451)
#: F_SETPIPE_SZ takes memory that nobody counts; F_SETOWN, F_SETOWN_EX, F_SETSIG and F_NOTIFY send signals; F_SETLEASE
#: holds others up.
FCNTLS_DENIED = (1031, 8, 15, 10, 1026, 1024)
#: PR_SET_NAME, PR_GET_NAME, and PR_SET_VMA, by which the C library names its heaps.
PRCTLS = (15, 16, 0x53564D41)


class Instruction(msgspec.Struct, frozen=True):
    """One instruction: `struct sock_filter`."""

    code: int
    operand: int
    if_true: int = 0
    if_false: int = 0

    def encode(self) -> bytes:
        return struct.pack("=HBBI", self.code, self.if_true, self.if_false, self.operand)


Program = list[Instruction]


def machine() -> Architecture | None:
    """Return this machine's architecture; ``None`` where there is no table for it."""
    return ARCHITECTURES.get(platform.machine())


def assemble(architecture: Architecture, *, process_id: int) -> bytes:
    """Return the filter for a guest that knows itself by a process id: it may signal that one only."""
    return b"".join(each.encode() for each in program(architecture, process_id=process_id))


def program(architecture: Architecture, *, process_id: int) -> Program:
    """Return the filter's instructions."""
    done: Program = [
        Instruction(LOAD_WORD, ARCHITECTURE),
        Instruction(JUMP_IF_EQUAL, architecture.audit, 1, 0),
        Instruction(RETURN, KILL_PROCESS),
        Instruction(LOAD_WORD, NUMBER),
    ]
    if architecture.x32 is not None:
        done += [Instruction(JUMP_IF_AT_LEAST, architecture.x32, 0, 1), Instruction(RETURN, KILL_PROCESS)]
    for table, verdict in ((ALLOWED, ALLOW), (PRETENDING, PRETENDED), (MISSING, ABSENT)):
        for _, *numbers in table:
            number = numbers[architecture.column]
            if number is not None:
                done += _when(number, [Instruction(RETURN, verdict)])
    for call, body in _by_arguments(process_id):
        done += _when(call[architecture.column], body)
    done += [Instruction(JUMP_IF_AT_LEAST, architecture.newer, 0, 1), Instruction(RETURN, ABSENT)]
    return [*done, Instruction(RETURN, DENIED)]


def _when(number: int, body: Program) -> Program:
    """Carry a body out for one call; every way through it ends in a return, so the number stays loaded for the rest."""
    return [Instruction(JUMP_IF_EQUAL, number, 0, len(body)), *body]


def _by_arguments(process_id: int) -> Iterator[tuple[tuple[int, int], Program]]:
    yield CLONE, _clone()
    yield FCNTL, _among(1, FCNTLS_DENIED, DENIED, otherwise=ALLOW)
    yield IOCTL, _among(1, IOCTLS, ALLOW, otherwise=NO_TERMINAL)
    yield PRCTL, _among(0, PRCTLS, ALLOW, otherwise=DENIED)
    yield PRLIMIT, _among(0, (0,), ALLOW, otherwise=DENIED)
    for call in SIGNALS.values():
        yield call, _among(0, (process_id,), ALLOW, otherwise=DENIED)


def _among(argument: int, values: tuple[int, ...], verdict: int, *, otherwise: int) -> Program:
    """Decide by the low half of an argument: the kernel reads these as 32 bits."""
    body = [Instruction(LOAD_WORD, _low(argument))]
    for value in values:
        body += [Instruction(JUMP_IF_EQUAL, value, 0, 1), Instruction(RETURN, verdict)]
    return [*body, Instruction(RETURN, otherwise)]


def _clone() -> Program:
    """Threads only, in no namespace of their own."""
    return [
        Instruction(LOAD_WORD, _low(0)),
        Instruction(AND, CLONE_THREAD | CLONE_NEW),
        Instruction(JUMP_IF_EQUAL, CLONE_THREAD, 0, 1),
        Instruction(RETURN, ALLOW),
        Instruction(RETURN, DENIED),
    ]
