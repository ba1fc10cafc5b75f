"""Listeners: what they get, and when they are let go; and for how long runs are kept for those who come later."""

from __future__ import annotations

import asyncio

import pytest

from holdover.engine import broadcast
from holdover.engine.broadcast import Broadcast, BrokenOff, Channel, EventStream
from holdover.wire.events import DONE

FRAME = b"event: thread.run.queued\ndata: {}\n\n"


@pytest.fixture
def channels(monkeypatch: pytest.MonkeyPatch) -> Broadcast:
    """Three runs that wait for outputs; whatever happens next happens much later."""
    made = Broadcast()
    monkeypatch.setattr(broadcast, "WAITING_S", -1.0)
    for run_id in ("run_a", "run_b", "run_c"):
        made.open(run_id).publish(FRAME, 1)
    return made


async def test_a_run_that_waits_too_long_is_forgotten(channels: Broadcast) -> None:
    channels.rest("run_a")
    assert channels.find("run_a") is None
    assert channels.find("run_b") is not None, "it does not wait"


async def test_a_run_that_waited_and_went_on_is_kept(channels: Broadcast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "WAITING_S", 1000.0)
    channels.rest("run_a")
    channels.rest("run_b")
    channels.open("run_a").publish(FRAME, 1)
    channels.end("run_b")
    monkeypatch.setattr(broadcast, "WAITING_S", -1.0)
    channels.rest("run_c")
    assert channels.find("run_a") is not None
    assert channels.find("run_b") is not None, "what has ended is kept for as long as all that has"
    assert channels.find("run_c") is None


async def test_who_listens_to_a_run_that_waits_is_told_that_this_is_all(channels: Broadcast) -> None:
    listener = channels.open("run_a").listen()
    channels.rest("run_a")
    async with asyncio.timeout(10):
        assert [each async for each in listener] == [b"event: done\ndata: [DONE]\n\n"]


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


async def test_frames_are_poured_where_they_are_published_and_the_stream_ends(channel: Channel) -> None:
    outlet = Outlet()
    pouring = asyncio.ensure_future(channel.listen().pour(outlet))
    await turns()
    channel.publish(b"a", 1)
    assert outlet.taken == [b"a"]
    channel.publish(b"b", 1)
    channel.end_leg()
    assert outlet.taken == [b"a", b"b", DONE]
    await pouring


async def test_what_an_outlet_raises_is_no_concern_of_who_publishes(channel: Channel) -> None:
    def broken(frames: bytes) -> bool:
        raise RuntimeError("no outlet")

    healthy = Outlet()
    pouring = [asyncio.ensure_future(channel.listen().pour(each)) for each in (broken, healthy)]
    await turns()
    channel.publish(b"a", 1)
    channel.publish(b"b", 1)
    channel.end_leg()
    with pytest.raises(RuntimeError, match="no outlet"):
        await pouring[0]
    await pouring[1]
    assert healthy.taken == [b"a", b"b", DONE]


async def test_what_an_outlet_has_no_room_for_waits(channel: Channel) -> None:
    outlet = Outlet()
    outlet.has_room = False
    listener = channel.listen()
    pouring = asyncio.ensure_future(listener.pour(outlet))
    for each in (b"a", b"b", b"c"):
        await turns()
        channel.publish(each, 1)
    channel.end_leg()
    await turns()
    assert outlet.taken == [b"a"]
    assert not pouring.done()
    outlet.has_room = True
    listener.go_on()
    await pouring
    assert outlet.taken == [b"a", b"bc" + DONE]


async def test_who_leaves_while_there_is_no_room_is_let_go_at_once(channel: Channel) -> None:
    outlet = Outlet()
    outlet.has_room = False
    events = EventStream(channel.listen())
    pouring = asyncio.ensure_future(events.pour(outlet))
    await turns()
    for each in (b"a", b"b"):
        channel.publish(each, 1)
    events.end()
    async with asyncio.timeout(10):
        await pouring
    assert outlet.taken == [b"a"]


async def test_the_next_leg_is_not_told_to_who_was_slow_with_the_last_one(channel: Channel) -> None:
    outlet = Outlet()
    outlet.has_room = False
    listener = channel.listen()
    pouring = asyncio.ensure_future(listener.pour(outlet))
    await turns()
    for each in (b"a", b"b"):
        channel.publish(each, 1)
    channel.end_leg()
    channel.publish(b"second leg", 1)
    outlet.has_room = True
    listener.go_on()
    await pouring
    assert outlet.taken == [b"a", b"b" + DONE]


async def test_what_is_told_of_a_run_that_waited_does_not_bend_the_account() -> None:
    channels = Broadcast()
    for number in range(3):
        channels.open(f"run_{number}", is_new=True).publish(b"a" * 10, 1)
        channels.rest(f"run_{number}")
        channel = channels.find(f"run_{number}")
        assert channel is not None
        channel.publish(b"b" * 100, 1)  # it was cancelled, or expired
        channels.end(f"run_{number}")
    assert channels._kept_bytes == 3 * 110


async def test_an_outlet_without_room_is_let_go(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "LISTENER_LIMIT_BYTES", 10)
    outlet = Outlet()
    outlet.has_room = False
    pouring = asyncio.ensure_future(channel.listen().pour(outlet))
    await turns()
    channel.publish(b"first", 1)
    await turns()
    channel.publish(b"more than ten", 1)
    with pytest.raises(BrokenOff):
        await pouring
    channel.publish(b"for others", 1)  # nobody is left who would be told
    assert outlet.taken == [b"first"]


async def test_iterating_gives_the_same_as_pouring(channel: Channel) -> None:
    listener = channel.listen()
    channel.publish(b"a", 1)
    channel.publish(b"b", 1)
    channel.end_leg()
    assert [frames async for frames in listener] == [b"ab" + DONE]
