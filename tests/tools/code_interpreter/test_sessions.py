"""One session a thread: when it is made, shared, closed, and made again. The sandbox is one of this file's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from holdover.tools.code_interpreter.protocol import Done, Event, SandboxError, SessionEnded, SessionSpec
from holdover.tools.code_interpreter.sessions import Sessions


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeSession:
    def __init__(self, spec: SessionSpec) -> None:
        self.spec = spec
        self.is_alive = True
        self.interrupted = 0

    async def put(self, name: str, chunks: AsyncIterator[bytes]) -> str:
        return name

    async def execute(self, code: str, *, timeout_s: float | None = None) -> AsyncIterator[Event]:
        yield Done(status="ok", duration_ms=0)

    async def interrupt(self) -> bool:
        self.interrupted += 1
        return True

    async def close(self) -> None:
        self.is_alive = False


class FakeBackend:
    name, level = "fake", "vm"

    def __init__(self) -> None:
        self.opened: list[FakeSession] = []
        self.fails = False

    async def find(self) -> Any:
        return self

    async def open(self, spec: SessionSpec) -> Any:
        if self.fails:
            raise SandboxError("not today")
        self.opened.append(FakeSession(spec))
        return self.opened[-1]

    @property
    def alive(self) -> int:
        return sum(each.is_alive for each in self.opened)


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make(backend: FakeBackend, clock: Clock, **options: Any) -> Sessions:
    return Sessions(backend.find, SessionSpec(preload=("pandas",)), clock=clock, **{"warm": 0, **options})


async def use(sessions: Sessions, thread_id: str) -> tuple[Any, bool, bool]:
    async with sessions.use(thread_id) as used:
        return used.session, used.is_new, used.was_lost


async def test_a_thread_keeps_its_session_and_has_it_alone(backend: FakeBackend, clock: Clock) -> None:
    sessions = make(backend, clock)
    first, is_new, was_lost = await use(sessions, "a")
    assert (is_new, was_lost) == (True, False)
    assert await use(sessions, "a") == (first, False, False)
    other, is_new, _ = await use(sessions, "b")
    assert other is not first
    assert is_new
    await sessions.close()
    assert backend.alive == 0


async def test_one_execution_at_a_time(backend: FakeBackend, clock: Clock) -> None:
    sessions = make(backend, clock)
    inside, most = 0, 0

    async def enter() -> None:
        nonlocal inside, most
        async with sessions.use("a"):
            inside += 1
            most = max(most, inside)
            for _ in range(3):
                await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(enter() for _ in range(5)))
    assert most == 1
    assert len(backend.opened) == 1
    await sessions.close()


async def test_an_idle_session_is_closed_and_made_again(backend: FakeBackend, clock: Clock) -> None:
    sessions = make(backend, clock, idle_s=3600)
    first, *_ = await use(sessions, "a")
    clock.now += 3599
    await sessions.reap()
    assert first.is_alive
    clock.now += 1
    await sessions.reap()
    assert not first.is_alive
    second, is_new, was_lost = await use(sessions, "a")
    assert second is not first
    assert (is_new, was_lost) == (True, True)
    assert await use(sessions, "a") == (second, False, False)
    await sessions.close()


async def test_a_session_in_use_is_not_idle(backend: FakeBackend, clock: Clock) -> None:
    sessions = make(backend, clock, idle_s=10, lifetime_s=100)
    async with sessions.use("a") as used:
        clock.now += 1000
        await sessions.reap()
        assert used.session.is_alive
    await sessions.reap()
    assert not used.session.is_alive, "it was open for too long"
    await sessions.close()


async def test_a_session_that_ended_is_made_again_and_said_to_be_lost(backend: FakeBackend, clock: Clock) -> None:
    sessions = make(backend, clock)
    async with sessions.use("a") as used:
        await used.session.close()
    assert (await use(sessions, "a"))[1:] == (True, True)
    await sessions.close()


async def test_the_one_least_recently_used_makes_room(backend: FakeBackend, clock: Clock) -> None:
    sessions = make(backend, clock, max_sessions=2)
    a, *_ = await use(sessions, "a")
    b, *_ = await use(sessions, "b")
    await use(sessions, "a")
    await use(sessions, "c")
    assert (a.is_alive, b.is_alive, backend.alive) == (True, False, 2)
    assert (await use(sessions, "b"))[1:] == (True, True)
    await sessions.close()


async def test_who_finds_no_room_waits_for_it(backend: FakeBackend, clock: Clock) -> None:
    sessions = make(backend, clock, max_sessions=1)
    async with sessions.use("a"):
        waiting = asyncio.create_task(use(sessions, "b"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
    assert (await waiting)[1]
    assert backend.alive == 1
    await sessions.close()


async def test_fifty_threads_in_turn_lose_nothing(backend: FakeBackend, clock: Clock) -> None:
    sessions = make(backend, clock, max_sessions=50)
    first = [(await use(sessions, str(each)))[0] for each in range(50)]
    assert [(await use(sessions, str(each)))[0] for each in range(50)] == first
    await sessions.close()
    assert backend.alive == 0


async def test_a_warm_session_is_taken_and_replaced(backend: FakeBackend, clock: Clock) -> None:
    sessions = make(backend, clock, warm=1)
    first, *_ = await use(sessions, "a")
    assert first.spec.preload == (), "whoever waits does not wait for imports"
    while len(backend.opened) < 2:
        await asyncio.sleep(0)
    warm = backend.opened[1]
    assert warm.spec.preload == ("pandas",)
    await asyncio.sleep(0)
    assert (await use(sessions, "b"))[0] is warm
    while len(backend.opened) < 3:
        await asyncio.sleep(0)
    await sessions.close()
    assert backend.alive == 0


async def test_an_opening_that_fails_is_told_and_leaves_room(backend: FakeBackend, clock: Clock) -> None:
    sessions = make(backend, clock, max_sessions=1)
    backend.fails = True
    for _ in range(3):
        with pytest.raises(SandboxError, match="not today"):
            await use(sessions, "a")
    backend.fails = False
    assert (await use(sessions, "a"))[1:] == (True, False)
    await sessions.close()


async def test_interrupting_and_forgetting_are_by_thread(backend: FakeBackend, clock: Clock) -> None:
    sessions = make(backend, clock)
    assert not await sessions.interrupt("a")
    session, *_ = await use(sessions, "a")
    assert await sessions.interrupt("a")
    assert session.interrupted == 1
    await sessions.forget("a")
    await sessions.forget("a")
    assert not session.is_alive
    assert (await use(sessions, "a"))[1:] == (True, False), "a thread that is gone has lost nothing"
    await sessions.close()


async def test_nothing_opens_after_the_end(backend: FakeBackend, clock: Clock) -> None:
    sessions = make(backend, clock)
    await sessions.close()
    with pytest.raises(SessionEnded):
        await use(sessions, "a")
