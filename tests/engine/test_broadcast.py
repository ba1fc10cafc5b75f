"""Listeners: what they get, and when they are let go."""

from __future__ import annotations

import asyncio

import pytest

from holdover.engine import broadcast
from holdover.engine.broadcast import Broadcast, Channel, TooSlow
from holdover.wire.events import DONE


@pytest.fixture
async def channel() -> Channel:
    return Broadcast().open("run_a")


class Outlet:
    """Takes frames as long as it has room."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.has_room = True

    def __call__(self, frames: bytes) -> bool:
        self.taken.append(frames)
        return self.has_room


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_frames_of_one_turn_are_poured_together_and_the_stream_ends(channel: Channel) -> None:
    outlet = Outlet()
    pouring = asyncio.ensure_future(channel.listen().pour(outlet))
    await turns()
    channel.publish(b"a", 1)
    channel.publish(b"b", 1)
    await turns()
    channel.publish(b"c", 1)
    channel.end_leg(is_over=True)
    await pouring
    assert outlet.taken == [b"ab", b"c" + DONE]


async def test_what_an_outlet_has_no_room_for_waits(channel: Channel) -> None:
    outlet = Outlet()
    outlet.has_room = False
    listener = channel.listen()
    pouring = asyncio.ensure_future(listener.pour(outlet))
    for each in (b"a", b"b", b"c"):
        await turns()
        channel.publish(each, 1)
    channel.end_leg(is_over=True)
    await turns()
    assert outlet.taken == [b"a"]
    assert not pouring.done()
    outlet.has_room = True
    listener.go_on()
    await pouring
    assert outlet.taken == [b"a", b"bc" + DONE]


async def test_an_outlet_without_room_is_let_go(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "LISTENER_LIMIT_BYTES", 10)
    outlet = Outlet()
    outlet.has_room = False
    pouring = asyncio.ensure_future(channel.listen().pour(outlet))
    await turns()
    channel.publish(b"first", 1)
    await turns()
    channel.publish(b"more than ten", 1)
    with pytest.raises(TooSlow):
        await pouring
    channel.publish(b"for others", 1)  # nobody is left who would be told
    assert outlet.taken == [b"first"]


async def test_iterating_gives_the_same_as_pouring(channel: Channel) -> None:
    listener = channel.listen()
    channel.publish(b"a", 1)
    channel.publish(b"b", 1)
    channel.end_leg(is_over=True)
    assert [frames async for frames in listener] == [b"ab" + DONE]
