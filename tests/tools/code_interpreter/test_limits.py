"""What a session may use up: disk, files, output and time; and how it ends when it wants more."""

from __future__ import annotations

import os
import textwrap
import time
from pathlib import Path

import msgspec
import pytest
from tests.tools.code_interpreter.arena import SPEC, Arena, is_gone, run, worker_of

from holdover.tools.code_interpreter import session as sessions
from holdover.tools.code_interpreter.quota import Usage, measure, remove

on_a_jail = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def little_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill sooner what does not stop: the time itself is not what is tested."""
    monkeypatch.setattr(sessions, "GRACE_S", 0.2)


# ------------------------------------------------------------------------------------------------ disk

#: Each ends with an error of the guest's own, or with the session ended for its disk.
FILLING = {
    "one large file": "open('large', 'wb').write(bytes(12 << 20))",
    "many medium files": "for n in range(64): open(f'medium-{n}', 'wb').write(bytes(1 << 20))",
    "many empty files": "for n in range(300_000): open(f'empty-{n}', 'w').close()",
    "many folders": "for n in range(300_000): os.mkdir(f'folder-{n}')",
    "deep folders": "for n in range(100_000): os.mkdir('d'); os.chdir('d')",
    "temporary files": """
        import tempfile
        for n in range(64): open(os.path.join(tempfile.gettempdir(), f't{n}'), 'wb').write(bytes(1 << 20))
    """,
    "a file without a name": """
        kept = []
        for n in range(40):
            kept.append(open('staged', 'wb+')); os.unlink('staged'); kept[-1].write(bytes(1 << 20)); kept[-1].flush()
        time.sleep(10)
    """,
    "a mapped file without a name": """
        import mmap
        kept = []
        for n in range(40):
            file = open('staged', 'wb+'); os.unlink('staged'); file.truncate(1 << 20)
            kept.append(mmap.mmap(file.fileno(), 1 << 20)); kept[-1].write(bytes(range(256)) * 4096)
        time.sleep(10)
    """,
    "what C code prints": "while True: os.write(1, bytes(1 << 16))",
    "an archive that unpacks to more": """
        import io, zipfile
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, 'w', zipfile.ZIP_DEFLATED) as archive:
            for n in range(8): archive.writestr(f'bomb-{n}', bytes(6 << 20))
        zipfile.ZipFile(packed).extractall('.')
    """,
    "a sparse file": "open('sparse', 'wb').truncate(10 << 30)",
    "a file set aside": "os.posix_fallocate(os.open('aside', os.O_RDWR | os.O_CREAT), 0, 10 << 30)",
}


@on_a_jail
@pytest.mark.parametrize("what", FILLING)
async def test_the_disk_is_bounded(arena: Arena, what: str) -> None:
    await arena.attacker()
    outcome = await arena.attack(f"os.chdir('/mnt/data')\n{textwrap.dedent(FILLING[what])}", timeout_s=8)
    assert outcome.status in ("error", "killed", "crashed"), outcome
    if outcome.status == "crashed":
        assert "mapped" in what  # a page for which there is no room is a SIGBUS
    elif outcome.status == "error":
        assert any(word in outcome.text for word in ("No space", "File too large", "MemoryError", "OSError"))
    else:
        assert outcome.done is not None
        assert "16 MiB or 200 files" in outcome.done.message
    await _forget(arena)


async def _forget(arena: Arena) -> None:
    """The next test gets a session with an empty disk."""
    attacker = await arena.attacker()
    await attacker.close()
    assert is_gone(worker_of(attacker))


@on_a_jail
async def test_nothing_is_left_on_the_disk(arena: Arena) -> None:
    session = await arena.open()
    await run(session, "open('/mnt/data/large', 'wb').write(bytes(1 << 20))")
    cwd = os.readlink(f"/proc/{worker_of(session)}/cwd")
    folder = Path(cwd).parent if cwd != "/mnt/data" else None
    await session.close()
    assert folder is None or not folder.exists()


def test_a_tree_of_any_depth_is_measured_and_removed(tmp_path: Path) -> None:
    top = tmp_path / "session"
    top.mkdir()
    folder = os.open(top, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("deep", dir_fd=folder)
        inner = os.open("deep", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(os.open("file", os.O_CREAT, dir_fd=folder))
    os.mkdir("closed", 0, dir_fd=folder)
    os.close(folder)
    most = Usage(1 << 30, 10_000)
    assert measure(str(top), 0, most).exceeds(most), "it is deeper than a path can say"
    remove(str(top))
    assert not top.exists()


def test_a_folder_is_measured_without_following_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(bytes(1 << 20))
    folder = tmp_path / "session"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "link").symlink_to(tmp_path)
    (folder / "data" / "file").write_bytes(bytes(8192))
    most = Usage(1 << 30, 100)
    found = measure(str(folder), 0, most)
    assert found.files == 3
    assert 8192 <= found.size < 65536
    assert not found.exceeds(most)
    assert measure(str(folder), 0, Usage(1 << 30, 2)).exceeds(Usage(1 << 30, 2))
    assert measure(str(folder), 0, Usage(4096, 100)).exceeds(Usage(4096, 100))


# ---------------------------------------------------------------------------------------------- output

FLOODS = {
    "many lines": "for n in range(100_000): print('x' * 100)",
    "300 MB": "for n in range(300): print('x' * (1 << 20))",
    "one line": "print('x' * (200 << 20))",
    "the other stream": "for n in range(300): sys.stderr.write('x' * (1 << 20))",
    "bytes": "sys.stdout.buffer.write(b'x' * (64 << 20))",
    "an echo": "'x' * (100 << 20)",
    "C code": "libc.printf(b'%0100000d', 1) and None",
    "a traceback": "raise ValueError('x' * (10 << 20))",
}


@on_a_jail
@pytest.mark.parametrize("what", FLOODS)
async def test_output_is_cut_while_it_is_made(arena: Arena, what: str) -> None:
    outcome = await arena.attack(FLOODS[what])
    assert outcome.status in ("ok", "error")
    assert outcome.done is not None
    assert outcome.done.is_truncated
    assert len(outcome.text) <= SPEC.output_bytes


@on_a_jail
async def test_what_is_cut_stays_text(arena: Arena) -> None:
    outcome = await arena.attack("print('é€😀' * 20_000)")
    assert outcome.text.startswith("é€😀é€😀")
    assert len(outcome.text.encode()) <= SPEC.output_bytes + 3
    assert outcome.text.rstrip("\ufffd") == ("é€😀" * 20_000)[: len(outcome.text.rstrip("\ufffd"))]


@on_a_jail
async def test_no_more_files_are_told_of_than_may_be(arena: Arena) -> None:
    outcome = await arena.attack("for n in range(50): open(f'/mnt/data/{n:02}.txt', 'w').write(str(n))")
    assert len(outcome.files) == SPEC.max_reported_files
    assert outcome.done is not None
    assert outcome.done.is_truncated
    await _forget(arena)


# ------------------------------------------------------------------------------------------------ time

STOPS = {
    "a loop": "while True: pass",
    "sleep": "time.sleep(60)",
    "a lock": "threading.Lock().acquire() and threading.Lock().acquire(timeout=60); time.sleep(60)",
    "a pipe": "os.read(os.pipe()[0], 1)",
    "arithmetic": "9 ** 9 ** 9",
    "an expression": "import re; re.match(r'(a+)+$', 'a' * 40 + 'b')",
}
DOES_NOT_STOP = {
    "a loop that swallows it": "while True:\n    try: time.sleep(1)\n    except BaseException: pass",
    "a loop that ignores it": "signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    "a loop that blocks it": "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
    "a loop that ends late": "try:\n    time.sleep(60)\nfinally:\n    while True: pass",
}


@on_a_jail
@pytest.mark.parametrize("what", STOPS)
async def test_what_can_be_stopped_keeps_its_variables(arena: Arena, what: str) -> None:
    await arena.attack("kept = 7")
    outcome = await arena.attack(STOPS[what], timeout_s=0.2)
    assert outcome.status == "timeout"
    assert outcome.done is not None
    assert outcome.done.message == "The execution was stopped after 0.2 seconds."
    assert outcome.done.duration_ms < 3000
    assert (await arena.attack("kept")).text == "7\n"


@on_a_jail
@pytest.mark.usefixtures("little_grace")
@pytest.mark.parametrize("what", DOES_NOT_STOP)
async def test_what_does_not_stop_is_killed(arena: Arena, what: str) -> None:
    outcome = await arena.attack(DOES_NOT_STOP[what], timeout_s=0.2)
    assert outcome.status == "timeout"
    assert outcome.done is not None
    assert not outcome.done.is_alive
    assert "variables and unsaved files are gone" in outcome.done.message
    assert outcome.done.duration_ms < 3000
    assert (await arena.attack("1 + 1")).text == "2\n"


@on_a_jail
async def test_a_loop_that_swallows_it_has_the_grace_and_no_more(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "GRACE_S", 1.0)
    started = time.monotonic()
    outcome = await arena.attack(DOES_NOT_STOP["a loop that swallows it"], timeout_s=0.2)
    assert outcome.status == "timeout"
    assert 1.2 < time.monotonic() - started < 1.2 + 2


@on_a_jail
async def test_the_longest_time_holds_whatever_is_asked(arena: Arena) -> None:
    session = await arena.open(msgspec.structs.replace(SPEC, exec_timeout_s=0.2))
    outcome = await run(session, "while True: pass", timeout_s=60)
    assert outcome.status == "timeout"
    await session.close()


@on_a_jail
async def test_threads_that_a_cell_leaves_stand_still_between_cells(arena: Arena) -> None:
    session = await arena.open()
    await run(
        session,
        """
        import threading
        def spin():
            global turns
            while True: turns += 1
        turns = 0
        threading.Thread(target=spin, daemon=True).start()
        """,
    )
    stat = Path(f"/proc/{worker_of(session)}/stat")
    state = _wait_until_it_stands(stat)
    assert state == "T"
    used = stat.read_text().split()[13:15]
    for _ in range(200_000):  # time passes
        pass
    assert stat.read_text().split()[13:15] == used
    assert int((await run(session, "turns")).text) > 0
    await session.close()


@on_a_jail
async def test_a_thread_that_goes_on_printing_hurts_no_later_cell(arena: Arena) -> None:
    session = await arena.open()
    await run(
        session,
        """
        import threading
        def talk():
            while True: print("talk " * 2000)
        threading.Thread(target=talk, daemon=True).start()
        """,
    )
    for each in range(5):
        outcome = await run(session, f"kept = {each}")
        assert outcome.status == "ok"
    assert (await run(session, "import sys; kept")).status == "ok"
    await session.close()


def _wait_until_it_stands(stat: Path) -> str:
    deadline = time.monotonic() + 5
    while (state := stat.read_text().split()[2]) != "T" and time.monotonic() < deadline:
        pass
    return state


# --------------------------------------------------------------------------------------------- crashes

CRASHES = {
    "a null pointer": ("ctypes.string_at(0)", "SIGSEGV"),
    "abort": ("os.abort()", "SIG"),
    "the end of the process": ("os._exit(3)", "exit status 3"),
    "a stack without end": ("import sys; sys.setrecursionlimit(10**9)\ndef f(): f()\nf()", ""),
    "a jump into nothing": ("ctypes.CFUNCTYPE(None)(8)()", "SIGSEGV"),
    "closed pipes": ("for each in pipes(): os.close(each)", ""),
    "a signal to itself": ("os.kill(os.getpid(), signal.SIGKILL); time.sleep(10)", ""),
}


@on_a_jail
@pytest.mark.usefixtures("little_grace")
@pytest.mark.parametrize("what", CRASHES)
async def test_a_crash_ends_one_session_only(arena: Arena, what: str) -> None:
    code, told = CRASHES[what]
    outcome = await arena.attack(f"import ctypes, os\n{code}", timeout_s=3)
    assert outcome.status in ("crashed", "error", "ok", "timeout")
    assert outcome.done is not None
    if outcome.status == "crashed":
        assert told in outcome.done.message
        assert not outcome.done.is_alive
    assert (await arena.attack("1 + 1")).text == "2\n"


@on_a_jail
async def test_a_memory_error_is_an_error_like_others(arena: Arena) -> None:
    await arena.attack("kept = 7")
    outcome = await arena.attack("bytearray(8 * 1024 ** 3)")
    assert outcome.status == "error"
    assert "MemoryError" in outcome.text
    assert (await arena.attack("kept")).text == "7\n"
