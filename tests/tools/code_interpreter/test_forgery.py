"""What a guest can say: everything, for it owns the process that speaks to us. What is believed: what fits."""

from __future__ import annotations

import pytest
from tests.tools.code_interpreter.arena import SPEC, Arena

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: ``ID`` is the number of the execution under way, which the guest can count.
ENDS_THE_SESSION = {
    "a frame of 4 GiB": "write(struct.pack('>II', 2**32 - 1, 10))",
    "a frame of 9 MiB": "write(struct.pack('>II', 9 << 20, 10) + bytes(9 << 20))",
    "a head longer than its frame": "write(struct.pack('>II', 8, 100) + b'{}  ')",
    "a head of 1 MiB": "write(frame({'type': 'logs', 'id': ID, 'stream': 's' * (1 << 20)}))",
    "no frame at all": "write(b'hello, this is not a frame' * 1000)",
    "no JSON": "write(frame(b'{{{{'))",
    "no text": "write(frame(b'\\xff\\xfe\\x00'))",
    "nested JSON": "write(frame(b'[' * 60000))",
    "an unknown type": "write(frame({'type': 'shutdown', 'id': ID}))",
    "an unknown member": "write(frame({'type': 'logs', 'id': ID, 'stream': 'stdout', 'more': 1}))",
    "a member of another type": "write(frame({'type': 'logs', 'id': 'one', 'stream': 'stdout'}))",
    "the reply to another request": "write(frame({'type': 'finished', 'id': ID + 1, 'status': 'ok'}))",
    "being ready again": "write(frame({'type': 'ready', 'id': ID}))",
    "the chunk of a file nobody asked for": "write(frame({'type': 'chunk', 'id': ID}, b'x'))",
    "a request": "write(frame({'type': 'execute', 'id': ID}, b'1'))",
    "a runner's word": "write(frame({'type': 'ended', 'reason': 'oom'}))",
    "a flood of small frames": "write(frame({'type': 'logs', 'id': ID, 'stream': 'stdout'}) * 30_000)",
    "a flood of files": """
write(frame({'type': 'found', 'id': ID, 'name': 'x', 'size': 1, 'sha256': '0' * 64}) * 30_000)
""",
    "a negative size": "write(frame({'type': 'found', 'id': ID, 'name': 'x', 'size': -1, 'sha256': '0' * 64}))",
    "a digest that is none": "write(frame({'type': 'found', 'id': ID, 'name': 'x', 'size': 1, 'sha256': '../x'}))",
    "half a frame": "write(struct.pack('>II', 100, 50) + b'{'); os._exit(0)",
}


async def _with_id(arena: Arena, code: str) -> str:
    attacker = await arena.attacker()
    number = next(attacker._ids) + 1
    return f"ID = {number}\n{code}"


@pytest.mark.parametrize("what", ENDS_THE_SESSION)
async def test_what_may_not_be_said_ends_the_session(arena: Arena, what: str) -> None:
    outcome = await arena.attack(await _with_id(arena, ENDS_THE_SESSION[what]), timeout_s=10)
    assert outcome.status in ("killed", "crashed")
    assert outcome.done is not None
    assert not outcome.done.is_alive
    assert (await arena.attack("1 + 1")).text == "2\n"


async def test_frames_to_wait_for_do_not_hold_the_deadline(arena: Arena) -> None:
    code = "write(struct.pack('>II', 1 << 20, 50)); time.sleep(60)"
    outcome = await arena.attack(code, timeout_s=0.3)
    assert outcome.status in ("timeout", "killed")


async def test_an_early_end_is_the_end(arena: Arena) -> None:
    """A guest that says that it is done may go on, as far as its own session; what it says then is not heard."""
    code = "write(frame({'type': 'finished', 'id': ID, 'status': 'ok'})); print('after the end')"
    outcome = await arena.attack(await _with_id(arena, code))
    assert outcome.status == "ok"
    assert outcome.text == ""
    following = await arena.attack("print('now')")
    assert following.status in ("ok", "killed")
    assert "after the end" not in following.text


async def test_forged_logs_count_as_logs(arena: Arena) -> None:
    code = "write(frame({'type': 'logs', 'id': ID, 'stream': 'stdout'}, bytes(1 << 20)) * 4)"
    outcome = await arena.attack(await _with_id(arena, code))
    assert outcome.done is not None
    assert outcome.done.is_truncated
    assert len(outcome.text) <= SPEC.output_bytes


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("b'<svg onload=alert(1)>'", 0),
        ("b'GIF89a'", 0),
        ("b''", 0),
        ("b'\\x89PNG\\r\\n\\x1a\\n' + bytes(7 << 20)", 0),
        ("b'\\x89PNG\\r\\n\\x1a\\n' + b'whatever follows'", SPEC.max_images),
    ],
)
async def test_images_are_bytes_that_begin_as_images_do(arena: Arena, body: str, count: int) -> None:
    code = f"for _ in range(20): write(frame({{'type': 'image', 'id': ID, 'format': 'png'}}, {body}))"
    outcome = await arena.attack(await _with_id(arena, code))
    assert outcome.done is not None
    assert outcome.done.is_truncated
    assert len(outcome.images) == count


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "/mnt/data/etc/passwd"),
        ("/etc/passwd", "/mnt/data/etc/passwd"),
        ("a\\nb", "/mnt/data/a_b"),
        ("a\\x00b", "/mnt/data/a_b"),
        ("\\u202egnp.exe", "/mnt/data/_gnp.exe"),
        ("x" * 300 + ".csv", "/mnt/data/" + "x" * 251 + ".csv"),
    ],
)
async def test_a_forged_name_is_only_a_name(arena: Arena, name: str, shown: str) -> None:
    code = f"write(frame({{'type': 'found', 'id': ID, 'name': '{name}', 'size': 6, 'sha256': '0' * 64}}))"
    outcome = await arena.attack(await _with_id(arena, code))
    # It is asked for by its own name, inside the jail; nothing of the kind is there.
    assert list(outcome.files) == [shown]
    assert isinstance(outcome.files[shown], str)


async def test_a_file_that_is_not_what_was_said_is_refused(arena: Arena) -> None:
    code = """
open('/mnt/data/x.bin', 'wb').write(bytes(100))
write(frame({'type': 'found', 'id': ID, 'name': 'x.bin', 'size': 100, 'sha256': '0' * 64}))
"""
    outcome = await arena.attack(await _with_id(arena, code))
    assert outcome.files["/mnt/data/x.bin"] in ("/mnt/data/x.bin changed while it was read.", bytes(100))


async def test_a_file_that_grows_while_it_is_read_ends_the_session(arena: Arena) -> None:
    code = """
open('/mnt/data/y.bin', 'wb').write(bytes(3 << 20))
write(frame({'type': 'found', 'id': ID, 'name': 'y.bin', 'size': 10, 'sha256': '0' * 64}))
write(frame({'type': 'finished', 'id': ID, 'status': 'ok'}))
"""
    outcome = await arena.attack(await _with_id(arena, code))
    assert outcome.files == {} or "grew while it was read" in str(outcome.files["/mnt/data/y.bin"])
