"""Which sandbox is used, and what is said where none can be: then no code runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.tools.code_interpreter.arena import SPEC, run

from holdover import settings
from holdover.tools.code_interpreter import environment, jail, landlock, seccomp, selection
from holdover.tools.code_interpreter.cgroups import GroupWatch, delegated
from holdover.tools.code_interpreter.guest import End
from holdover.tools.code_interpreter.interpreter import Interpreter, base_interpreter
from holdover.tools.code_interpreter.jail import BubblewrapJail, LandlockJail, SessionFolders
from holdover.tools.code_interpreter.protocol import LEVELS, Check, Level, ProbeReport, SandboxUnavailable
from holdover.tools.code_interpreter.selection import Selection, Wanted, choose


def report(level: Level, *, passed: bool = True, backend: str = "jail") -> ProbeReport:
    return ProbeReport(backend=backend, level=level, checks=(Check("forks", passed, "" if passed else "forked"),))


def wanted(**options: Any) -> Wanted:
    return Wanted(data_dir="/nowhere", **options)


def test_the_first_that_passes_and_is_strong_enough_is_chosen() -> None:
    strong, weak = report("namespaces"), report("landlock")
    broken = report("namespaces", passed=False)
    assert choose(wanted(), [strong, weak]) is strong
    assert choose(wanted(), [broken, weak]) is weak
    assert choose(wanted(minimum="namespaces"), [strong, weak]) is strong
    assert choose(wanted(minimum="landlock"), [weak]) is weak


@pytest.mark.parametrize(
    ("options", "reports", "told"),
    [
        ({"backend": "off"}, [report("namespaces")], "HOLDOVER_SANDBOX is off"),
        ({}, [], "there is no sandbox 'auto'"),
        ({}, [report("landlock", passed=False)], "does not pass its self-test: forks: forked"),
        ({"minimum": "namespaces"}, [report("landlock")], "is of level landlock, and at least namespaces is wanted"),
        ({"minimum": "vm"}, [report("namespaces"), report("landlock")], "at least vm is wanted"),
        ({}, [ProbeReport(backend="jail", level="vm", checks=())], "does not pass"),
    ],
)
def test_a_refusal_says_why(options: dict[str, Any], reports: list[ProbeReport], told: str) -> None:
    with pytest.raises(SandboxUnavailable, match=told):
        choose(wanted(**options), reports)


def test_settings_know_the_levels() -> None:
    assert settings.SANDBOX_LEVELS == LEVELS


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"backend": "remote"}, "HOLDOVER_SANDBOX_REMOTE"),
        ({"backend": "wasm"}, "No installed package offers a sandbox 'wasm'"),
    ],
)
def test_a_sandbox_that_is_not_there_is_told(options: dict[str, Any], told: str) -> None:
    with pytest.raises(SandboxUnavailable, match=told):
        selection.candidates(wanted(**options))


async def test_a_package_can_bring_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class Found:
        def load(self) -> Any:
            return lambda: "its backend"

    monkeypatch.setattr(selection, "entry_points", lambda group, name: [Found()] if name == "wasm" else [])
    assert selection.candidates(wanted(backend="wasm")) == ["its backend"]


# ---------------------------------------------------------------------------- machines that have nothing


async def _none_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SandboxUnavailable:
    monkeypatch.setattr(environment, "find", lambda data_dir: base_interpreter())
    chosen = Selection(Wanted(data_dir=str(tmp_path)))
    with pytest.raises(SandboxUnavailable) as refused:
        await chosen.backend()
    with pytest.raises(SandboxUnavailable):  # remembered, not tried again at once
        await chosen.backend()
    await chosen.close()
    return refused.value


async def test_without_namespaces_and_landlock_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jail, "find_bubblewrap", lambda: "/bin/false")
    monkeypatch.setattr(landlock, "version", lambda: 0)
    refused = await _none_is_used(tmp_path, monkeypatch)
    assert "namespaces" in str(refused)
    assert "The kernel has no Landlock" in str(refused)
    assert "holdover doctor" in str(refused)


async def test_elsewhere_than_on_linux_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "needs Linux" in str(await _none_is_used(tmp_path, monkeypatch))


async def test_on_an_unknown_processor_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "machine", lambda: None)
    assert "no table of system calls" in str(await _none_is_used(tmp_path, monkeypatch))


async def test_a_wall_that_is_missing_is_found_by_the_self_test(tmp_path: Path) -> None:
    """A worker that would not install its filter is seen from outside, and ended before any code reaches it."""

    class Open(LandlockJail):
        def _command(self) -> list[str]:
            source = jail.WORKER.read_text()
            without = source.replace('    _seccomp(bytes.fromhex(setup["seccomp"]))\n', "")
            assert without != source
            return [*super()._command()[:-1], without]

    found = await Open(folder=str(tmp_path)).probe()
    assert not found.passed
    assert "Seccomp is 0 and must be 2" in found.failure


async def test_a_filter_that_lets_too_much_through_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "DENIED", seccomp.ALLOW)
    found = await LandlockJail(folder=str(tmp_path)).probe()
    assert not found.passed
    assert {each.name for each in found.checks if not each.passed} >= {"forks"}


async def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    reports, told, remedy = await selection.inspect(Wanted(data_dir=str(tmp_path / "data")))
    assert len(reports) == 2
    assert not (tmp_path / "data").exists()
    if any(each.passed for each in reports):
        assert told.startswith("Code runs in jail, level ")
        assert remedy is None


async def test_switched_off_is_no_trouble() -> None:
    reports, told, remedy = await selection.inspect(wanted(backend="off"))
    assert reports == []
    assert "off" in told
    assert remedy is None


# ------------------------------------------------------------------------------------------- the parts


def test_what_is_hidden_is_in_no_rule(tmp_path: Path) -> None:
    for name in ("json", "site-packages/secret", "lib-dynload"):
        (tmp_path / "lib" / "python3" / name).mkdir(parents=True)
    (tmp_path / "lib" / "python3" / "os.py").touch()
    hidden = str(tmp_path / "lib" / "python3" / "site-packages")
    python = Interpreter(executable="/bin/sh", readable=(str(tmp_path / "lib"),), hidden=(hidden,))
    rules = dict(landlock.ruleset(7, python, "/data").rules)
    assert not [path for path, access in rules.items() if path.startswith(hidden)]
    assert rules[str(tmp_path / "lib" / "python3")] == landlock.READ_DIR
    assert rules[str(tmp_path / "lib" / "python3" / "json")] == landlock.READ
    assert rules[str(tmp_path / "lib" / "python3" / "os.py")] == landlock.READ_FILE
    assert rules["/data"] == landlock.WRITE


@pytest.mark.parametrize(("version", "fs", "net", "scoped", "size"), [
    (1, 0x1FFF, 0, 0, 8), (2, 0x3FFF, 0, 0, 8), (3, 0x7FFF, 0, 0, 8), (4, 0x7FFF, 3, 0, 16), (6, 0xFFFF, 3, 3, 24),
    (9, 0xFFFF, 3, 3, 24),
])  # fmt: skip
def test_a_kernel_is_asked_for_what_it_knows(version: int, fs: int, net: int, scoped: int, size: int) -> None:
    rules = landlock.ruleset(version, base_interpreter(), "/data")
    assert (rules.fs, rules.net, rules.scoped, rules.size) == (fs, net, scoped, size)
    assert all(access & ~fs == 0 for _, access in rules.rules)


def test_the_servers_packages_are_not_the_guests() -> None:
    python = base_interpreter()
    assert not any(path.startswith(sys.prefix) for path in python.paths) or sys.prefix == sys.base_prefix


def test_folders_of_a_dead_service_are_swept(tmp_path: Path) -> None:
    dead = SessionFolders(str(tmp_path))
    left = Path(dead.make(None))
    alive = SessionFolders(str(tmp_path))
    kept = Path(alive.make(None))
    assert left.exists(), "its service lives"
    os.close(dead._lock)
    SessionFolders(str(tmp_path)).make(None)
    assert not left.exists()
    assert kept.exists()


def test_groups_are_used_where_they_are_delegated(tmp_path: Path) -> None:
    """As a tree of files: no machine of ours delegates one."""
    membership = tmp_path / "membership"
    membership.write_text("0::/user.slice/holdover.service\n")
    group = tmp_path / "user.slice" / "holdover.service"
    group.mkdir(parents=True)
    assert delegated(tmp_path, membership) is None
    for name, text in (("controllers", "cpu memory pids"), ("subtree_control", ""), ("procs", "")):
        (group / f"cgroup.{name}").write_text(text)
    assert delegated(tmp_path, membership) == group
    assert (group / "holdover-service" / "cgroup.procs").read_text() == str(os.getpid())
    assert (group / "cgroup.subtree_control").read_text() == "+memory +pids"
    (group / "cgroup.controllers").write_text("cpu")
    assert delegated(tmp_path, membership) is None
    membership.write_text("0::/\n")
    assert delegated(tmp_path, membership) is None


async def test_a_group_bounds_a_session_and_tells_of_its_end(tmp_path: Path) -> None:
    watch = GroupWatch(tmp_path, SPEC)
    await watch.begin(42)
    (group,) = tmp_path.iterdir()
    assert (group / "memory.max").read_text() == str(SPEC.memory_bytes)
    assert (group / "pids.max").read_text() == str(SPEC.max_threads + 8)
    assert (group / "cgroup.procs").read_text() == "42"
    (group / "memory.events").write_text("low 0\noom 1\noom_kill 1\n")
    for each in group.iterdir():
        if each.name != "memory.events":
            each.unlink()
    assert await watch.end() in (End("oom"), None)


async def test_a_bubblewrap_that_is_missing_is_told() -> None:
    found = await BubblewrapJail(program="/nowhere/bwrap").probe()
    assert not found.passed
    assert "No such file" in found.failure
    assert "apparmor" in found.remedy.lower()


async def test_the_same_python_answers_in_the_jail(tmp_path: Path) -> None:
    session = await LandlockJail(folder=str(tmp_path)).open(SPEC)
    outcome = await run(session, "import sys; sys.version")
    await session.close()
    assert outcome.text == f"{sys.version!r}\n"
