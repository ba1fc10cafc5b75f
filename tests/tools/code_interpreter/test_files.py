"""Files in and out: only regular ones, as bytes, under names that mislead nobody."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tools.code_interpreter.arena import Arena, chunks, run

from holdover.tools.code_interpreter.names import MAX_NAME_BYTES, clean_file_name, clean_path
from holdover.tools.code_interpreter.protocol import SandboxError

on_a_jail = pytest.mark.asyncio(loop_scope="module")


@on_a_jail
async def test_new_and_changed_files_come_out(arena: Arena) -> None:
    session = await arena.open()
    first = await run(
        session, "import os; os.mkdir('/mnt/data/out'); open('/mnt/data/out/a.txt', 'w').write('one'); open('b', 'w')"
    )
    assert first.files == {"/mnt/data/out/a.txt": b"one", "/mnt/data/b": b""}
    assert (await run(session, "open('/mnt/data/out/a.txt').read()")).files == {}
    assert (await run(session, "open('out/a.txt', 'a').write(', two')")).files == {"/mnt/data/out/a.txt": b"one, two"}
    assert (await run(session, "import os; os.remove('b')")).files == {}
    await session.close()


@on_a_jail
async def test_a_file_that_is_put_is_there_and_is_not_new(arena: Arena) -> None:
    session = await arena.open()
    assert await session.put("sales 2024.csv", chunks(b"a,b\n", b"1,2\n" * 500_000)) == "/mnt/data/sales 2024.csv"
    outcome = await run(session, "len(open('/mnt/data/sales 2024.csv').readlines())")
    assert outcome.text == "500001\n"
    assert outcome.files == {}
    await session.put("empty", chunks())
    assert (await run(session, "open('/mnt/data/empty').read()")).text == "''\n"
    assert list((await run(session, "open('/mnt/data/empty', 'w').write('x')")).files) == ["/mnt/data/empty"]
    await session.close()


@on_a_jail
@pytest.mark.parametrize("name", ["../../escape", "/etc/passwd", "..", "", "a/b", "nul\0", "\u202etxt.exe", "x" * 500])
async def test_a_file_that_is_put_has_a_name_of_one_piece(arena: Arena, name: str) -> None:
    session = await arena.attacker()
    path = await session.put(name, chunks(b"content"))
    assert path == f"/mnt/data/{clean_file_name(name)}"
    assert (await run(session, f"open({path!r}).read()")).text == "'content'\n"


@on_a_jail
async def test_a_file_that_does_not_fit_is_refused_and_leaves_nothing(arena: Arena) -> None:
    session = await arena.open()
    with pytest.raises(SandboxError, match="large is larger than 8 MiB"):
        await session.put("large", chunks(*[bytes(1 << 20)] * 9))
    assert (await run(session, "import os; os.listdir('/mnt/data')")).text == "['large']\n"
    await session.put("more-1", chunks(*[bytes(1 << 20)] * 7))
    with pytest.raises(SandboxError):
        await _put_too_much(session)
    await session.close()


async def _put_too_much(session: Any) -> None:
    for each in range(16):
        await session.put(f"more-{each}", chunks(*[bytes(1 << 20)] * 7))


@on_a_jail
@pytest.mark.parametrize(
    "making",
    [
        "os.symlink('/etc/passwd', 'out.txt')",
        "os.symlink('../../../etc/passwd', 'out.txt')",
        "os.symlink('/', 'out')",
        "os.link(os.__file__, 'out.txt')",
        "os.mkfifo('out.txt')",
        "os.mknod('out.txt', stat.S_IFCHR | 0o600, os.makedev(1, 1))",
        "os.mknod('out.txt', stat.S_IFBLK | 0o600, os.makedev(254, 0))",
        "os.mknod('out.txt', stat.S_IFSOCK | 0o600)",
    ],
)
async def test_nothing_but_files_and_folders_can_be_made(arena: Arena, making: str) -> None:
    outcome = await arena.attack(f"os.chdir('/mnt/data')\n{making}")
    assert outcome.status == "error"
    assert "PermissionError" in outcome.text
    assert outcome.files == {}


@on_a_jail
async def test_a_folder_in_the_place_of_a_file_is_not_read(arena: Arena) -> None:
    outcome = await arena.attack(
        f"ID = {next((await arena.attacker())._ids) + 1}\n"
        "write(frame({'type': 'found', 'id': ID, 'name': 'out', 'size': 3, 'sha256': '0' * 64})); os.mkdir('out')"
    )
    assert isinstance(outcome.files["/mnt/data/out"], str)


@on_a_jail
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plan\nb.txt", "/mnt/data/plan_b.txt"),
        ("\u202etxt.exe", "/mnt/data/_txt.exe"),
        ("\x1b[31mred", "/mnt/data/_[31mred"),
        ("größe 漢字.csv", "/mnt/data/größe 漢字.csv"),
        ("x" * 255, "/mnt/data/" + "x" * 255),
    ],
)
async def test_hostile_names_are_shown_harmless(arena: Arena, name: str, shown: str) -> None:
    outcome = await arena.attack(f"open('/mnt/data/' + {name!r}, 'w').write('x')")
    assert outcome.files == {shown: b"x"}


@on_a_jail
async def test_a_name_that_is_no_text_is_left_out(arena: Arena) -> None:
    outcome = await arena.attack("open(b'/mnt/data/\\xff\\xfe', 'w').write('x')")
    assert outcome.files == {}
    assert outcome.done is not None
    assert outcome.done.is_truncated


@given(st.text(max_size=400))
def test_a_clean_name_is_one_component_that_can_be_seen(name: str) -> None:
    cleaned = clean_file_name(name)
    assert cleaned
    assert cleaned.strip(".")
    assert not set(cleaned) & set("/\\\0\n\r\u202e")
    assert len(cleaned.encode()) <= MAX_NAME_BYTES
    assert clean_file_name(cleaned) == cleaned


@given(st.text(max_size=3000))
def test_a_clean_path_is_under_the_folder(name: str) -> None:
    path = clean_path(name)
    assert path == "/mnt/data" or path.startswith("/mnt/data/")
    assert "/../" not in f"{path}/"
    assert "//" not in path
