"""PostgreSQL: connections that are lent and taken back. With connections that have nothing behind them."""

from __future__ import annotations

import asyncio

import pytest

from holdover.errors import InternalServerError
from holdover.store.postgres import pool as pools
from holdover.store.postgres.pool import Pool


class Connection:
    def __init__(self) -> None:
        self.is_busy = False
        self.is_stuck = False
        self.may_go = asyncio.Event()
        self.may_go.set()
        self.ended: str | None = None

    def is_closed(self) -> bool:
        return self.ended is not None

    def is_in_transaction(self) -> bool:
        return self.is_busy

    def terminate(self) -> None:
        self.ended = "terminated"

    async def close(self, *, timeout: float) -> None:  # noqa: ASYNC109 - the driver's name for it
        if self.is_stuck:
            raise TimeoutError
        await self.may_go.wait()
        self.ended = "closed"


class World:
    def __init__(self, limit: int) -> None:
        self.opened: list[Connection] = []
        self.refuses = False
        self.may_connect = asyncio.Event()
        self.may_connect.set()
        self.pool = Pool(self.connect, limit=limit)

    async def connect(self) -> Connection:
        if self.refuses:
            raise ConnectionRefusedError
        await self.may_connect.wait()
        self.opened.append(Connection())
        return self.opened[-1]


async def test_the_one_that_came_back_last_is_lent_first() -> None:
    world = World(3)
    one, two, three = [await world.pool.take() for _ in range(3)]
    for each in (two, three, one):
        world.pool.give_back(each)
    assert [await world.pool.take() for _ in range(3)] == [one, three, two]
    assert len(world.opened) == 3


async def test_whoever_comes_when_all_are_lent_waits_and_comes_in_turn() -> None:
    world = World(1)
    only = await world.pool.take()
    waiting = [asyncio.create_task(world.pool.take()) for _ in range(3)]
    waiting[1].cancel()
    for taking in (waiting[0], waiting[2]):
        await asyncio.sleep(0)
        assert not taking.done()
        world.pool.give_back(only)
        assert await taking is only
    assert len(world.opened) == 1


async def test_what_was_closed_or_left_undone_is_not_lent_again() -> None:
    world = World(5)
    lost, undone, asking, stuck, closed_later = given = [await world.pool.take() for _ in range(5)]
    lost.terminate()
    undone.is_busy = stuck.is_stuck = True
    for each in (lost, undone, closed_later):
        world.pool.give_back(each)
    for each in (asking, stuck):
        world.pool.give_back(each, is_asking=True)
    await asyncio.sleep(0)
    assert [each.ended for each in given] == ["terminated", "closed", "closed", "terminated", None]
    closed_later.ended = "by the server"
    taken = [await world.pool.take() for _ in range(5)]
    assert not {*taken} & {*given}


async def test_a_connection_that_cannot_be_opened_takes_no_place() -> None:
    world = World(1)
    world.refuses = True
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await world.pool.take()
    world.refuses = False
    assert await world.pool.take() is world.opened[0]


async def test_what_nobody_used_for_long_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(3)
    now = 0.0
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "time", lambda: now)
    timers: list[float] = []
    monkeypatch.setattr(
        loop, "call_later", lambda after_s, call: timers.append(after_s) or loop.call_soon(lambda: None)
    )
    one, two, three = [await world.pool.take() for _ in range(3)]
    world.pool.give_back(one)
    now = 100.0
    world.pool.give_back(two)
    now = pools.IDLE_S + 50
    world.pool._tidy()
    await asyncio.sleep(0)
    assert (one.ended, two.ended, three.ended) == ("closed", None, None)
    assert timers == [pools.IDLE_S, 50.0]
    world.pool.give_back(three)
    assert await world.pool.take() is three


async def test_what_is_being_closed_has_its_place_until_it_is_gone() -> None:
    world = World(1)
    asking = await world.pool.take()
    asking.may_go.clear()
    world.pool.give_back(asking, is_asking=True)
    taking = asyncio.create_task(world.pool.take())
    for _ in range(5):
        await asyncio.sleep(0)
    assert (taking.done(), len(world.opened)) == (False, 1)
    asking.may_go.set()
    assert await taking is world.opened[1]


async def test_to_close_waits_for_what_is_lent_and_lends_no_more() -> None:
    world = World(2)
    lent, idle = await world.pool.take(), await world.pool.take()
    waiting = asyncio.create_task(world.pool.take())
    world.pool.give_back(idle)
    await asyncio.sleep(0)
    world.pool.give_back(await waiting)
    closing = asyncio.create_task(world.pool.close())
    await asyncio.sleep(0)
    assert (closing.done(), lent.ended) == (False, None)
    with pytest.raises(InternalServerError, match="closed"):
        await world.pool.take()
    world.pool.give_back(lent)
    await closing
    assert (lent.ended, idle.ended) == ("closed", "closed")
    await world.pool.close()
    with pytest.raises(InternalServerError, match="closed"):
        await world.pool.take()


async def test_who_waits_or_connects_while_the_pool_closes_gets_nothing() -> None:
    world = World(1)
    only = await world.pool.take()
    waiting = asyncio.create_task(world.pool.take())
    await asyncio.sleep(0)
    closing = asyncio.create_task(world.pool.close())
    await asyncio.sleep(0)
    world.pool.give_back(only)
    with pytest.raises(InternalServerError, match="closed"):
        await waiting
    await closing

    world = World(1)
    world.may_connect.clear()
    connecting = asyncio.create_task(world.pool.take())
    await asyncio.sleep(0)
    await world.pool.close()
    world.may_connect.set()
    with pytest.raises(InternalServerError, match="closed"):
        await connecting
    assert world.opened[0].ended == "terminated"


async def test_to_terminate_does_not_wait() -> None:
    world = World(3)
    lent, idle, leaving = [await world.pool.take() for _ in range(3)]
    leaving.may_go.clear()
    world.pool.give_back(idle)
    world.pool.give_back(leaving, is_asking=True)
    await asyncio.sleep(0)
    world.pool.terminate()
    for _ in range(3):
        await asyncio.sleep(0)
    assert (lent.ended, idle.ended, leaving.ended) == ("terminated", "terminated", "terminated")
    world.pool.give_back(lent)
    with pytest.raises(InternalServerError, match="closed"):
        await world.pool.take()
