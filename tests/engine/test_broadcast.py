"""What is kept of runs for those who listen later, and for how long."""

from __future__ import annotations

import asyncio

import pytest

from holdover.engine import broadcast
from holdover.engine.broadcast import Broadcast

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
