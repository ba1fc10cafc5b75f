"""The filter, for both architectures, run by an interpreter of ours as the kernel would run it."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from holdover.tools.code_interpreter import seccomp
from holdover.tools.code_interpreter.seccomp import ALLOW, ARCHITECTURES, ERRNO, KILL_PROCESS

NAMES = list(ARCHITECTURES)


def answer(name: str, number: int, *arguments: int, audit: int | None = None, process_id: int = 77) -> int:
    """What the filter says to a system call."""
    architecture = ARCHITECTURES[name]
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack(
        "=IIQ6Q",
        number & 0xFFFFFFFF,
        architecture.audit if audit is None else audit,
        0,
        *(a & 2**64 - 1 for a in padded),
    )
    code = seccomp.assemble(architecture, process_id=process_id)
    program = list(struct.iter_unpack("=HBBI", code))
    assert len(program) < 4096
    loaded, at = 0, 0
    while True:
        operation, if_true, if_false, operand = program[at]
        at += 1
        match operation:
            case 0x20:
                (loaded,) = struct.unpack_from("=I", data, operand)
            case 0x54:
                loaded &= operand
            case 0x15:
                at += if_true if loaded == operand else if_false
            case 0x35:
                at += if_true if loaded >= operand else if_false
            case 0x06:
                return operand
            case _:
                raise AssertionError(f"instruction {operation:#x}")


@pytest.mark.parametrize("name", NAMES)
def test_what_is_in_the_table_is_allowed_and_nothing_else(name: str) -> None:
    column = ARCHITECTURES[name].column
    allowed = {row[1 + column] for row in seccomp.ALLOWED}
    by_arguments = {call[column] for call, _ in seccomp._by_arguments(1)}
    pretended = {row[1 + column] for row in seccomp.PRETENDING}
    missing = {row[1 + column] for row in seccomp.MISSING}
    for each in (allowed, pretended, missing):
        each.discard(None)
    assert not allowed & (by_arguments | pretended | missing)
    for number in range(600):
        if number in by_arguments:
            continue
        expected = (
            ALLOW
            if number in allowed
            else ERRNO
            if number in pretended
            else ERRNO | 38
            if number in missing or number >= ARCHITECTURES[name].newer
            else ERRNO | 1
        )
        assert answer(name, number) == expected, number


@pytest.mark.parametrize("name", NAMES)
def test_another_architecture_is_the_end(name: str) -> None:
    for audit in {0x40000003, 0x40000028, *(each.audit for each in ARCHITECTURES.values())}:
        is_own = audit == ARCHITECTURES[name].audit
        assert (answer(name, 39, audit=audit) == KILL_PROCESS) is not is_own


def test_the_table_of_x32_is_the_end() -> None:
    assert answer("x86_64", 0x40000000 + 39) == KILL_PROCESS
    assert answer("x86_64", -1) == KILL_PROCESS


@pytest.mark.parametrize("name", NAMES)
def test_arguments_decide(name: str) -> None:
    column = ARCHITECTURES[name].column
    clone, fcntl, ioctl, prctl, prlimit = (
        each[column] for each in (seccomp.CLONE, seccomp.FCNTL, seccomp.IOCTL, seccomp.PRCTL, seccomp.PRLIMIT)
    )
    kill, tgkill = (each[column] for each in seccomp.SIGNALS.values())
    thread = 0x003D0F00  # what the C library passes for a thread
    assert answer(name, clone, thread) == ALLOW
    for refused in (17, 0x01200011, thread | 0x10000000, thread | 0x20000000, 0x00000100):
        assert answer(name, clone, refused) == ERRNO | 1
    assert answer(name, kill, 77, 9) == answer(name, tgkill, 77, 80, 6) == ALLOW
    for other in (0, -1, 1, 78, -77, 77 + 2**31):
        assert answer(name, kill, other, 9) == answer(name, tgkill, other, 80, 6) == ERRNO | 1
    assert answer(name, prlimit, 0) == ALLOW
    assert answer(name, prlimit, 1) == ERRNO | 1
    assert answer(name, prctl, 15) == ALLOW
    assert answer(name, prctl, 1) == answer(name, prctl, 22) == ERRNO | 1
    assert answer(name, ioctl, 1, 0x5421) == ALLOW
    assert answer(name, ioctl, 1, 0x5412) == answer(name, ioctl, 1, 0x5401) == ERRNO | 25
    assert answer(name, fcntl, 1, 3) == ALLOW
    assert answer(name, fcntl, 1, 1031) == ERRNO | 1


@pytest.mark.parametrize(
    ("column", "path"),
    [(0, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), (1, "/usr/include/asm-generic/unistd.h")],
)
def test_the_numbers_are_the_kernels(column: int, path: str) -> None:
    if not Path(path).exists():
        pytest.skip("the kernel's headers are not installed")
    known = {
        name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+) (\d+)", Path(path).read_text())
    }
    if "fstatat" in known:
        known["newfstatat"] = known["fstatat"]
    rows = [*seccomp.ALLOWED, *seccomp.PRETENDING, *seccomp.MISSING]
    rows += [(name, *numbers) for name, numbers in seccomp.SIGNALS.items()]
    rows += [
        ("clone", *seccomp.CLONE),
        ("fcntl", *seccomp.FCNTL),
        ("ioctl", *seccomp.IOCTL),
        ("prctl", *seccomp.PRCTL),
        ("prlimit64", *seccomp.PRLIMIT),
    ]
    newest = max(known.values())
    for name, *numbers in rows:
        number = numbers[column]
        if number is None or number <= newest:
            assert known.get(name) == number, name
