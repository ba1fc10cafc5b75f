"""Who listens to a run: its frames, as they come, to whoever asked; and for a while to whoever asks later.

A listener that hangs up changes nothing, and one that cannot keep up is let go: what waits for it is bounded.
Frames are bytes that are ready to be sent; the events of a run are numbered from 1, over all its legs (a leg is what
lies between two answers: up to ``requires_action``, or up to the end).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from holdover.wire.events import DONE

#: What may wait for one listener, in bytes, before it is let go.
LISTENER_LIMIT_BYTES = 1024 * 1024
#: What is kept of one run for those who attach later, in bytes.
LOG_LIMIT_BYTES = 1024 * 1024
#: How long a run that has ended can still be attached to from memory, in seconds, and what that may take altogether.
KEPT_S = 60.0
#: The same of a run that waits for outputs: they may be submitted to another process, which does not tell.
WAITING_S = 3600.0
KEPT_LIMIT_BYTES = 64 * 1024 * 1024


class BrokenOff(Exception):
    """A listener gets no more, though more will come: it did not take its frames in time, or they come elsewhere."""


#: Takes frames and says whether it has room for more.
Sink = Callable[[bytes], bool]


class Listener:
    """One who listens: an asynchronous iterator of frames, joined where several wait; or `pour` hands them on."""

    __slots__ = (
        "_bytes",
        "_channel",
        "_has_ended",
        "_has_room",
        "_is_broken_off",
        "_sink",
        "_waiter",
        "_waiting",
        "is_silent",
    )

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._has_ended = False
        self._is_broken_off = False
        self._sink: Sink | None = None
        self._has_room = True
        #: Whether nothing was put since somebody said that it is.
        self.is_silent = True

    def put(self, frames: bytes) -> None:
        """Have frames wait for the listener."""
        if self._is_broken_off:
            return
        self.is_silent = False
        if self._sink is not None and self._has_room:  # then nothing waits
            try:
                self._has_room = self._sink(frames)
            except Exception as error:
                self._fail(error)
            return
        if self._has_ended:
            return
        self._bytes += len(frames)
        if self._bytes > LISTENER_LIMIT_BYTES:
            self._is_broken_off = True
            self._waiting.clear()
        else:
            self._waiting.append(frames)
        self._wake()

    def end(self) -> None:
        """Let the listener end once it has taken all; what comes later is not for it."""
        self._has_ended = True
        self.close()
        self._wake()

    def give_up(self) -> None:
        """Let the listener end now: nobody takes what waits."""
        self._waiting.clear()
        self._bytes = 0
        self.end()

    def break_off(self) -> None:
        """Let the listener end with `BrokenOff`."""
        self._is_broken_off = True
        self._wake()

    def close(self) -> None:
        """Listen no more."""
        self._channel.leave(self)

    def __aiter__(self) -> Listener:
        return self

    async def __anext__(self) -> bytes:
        while True:
            if self._is_broken_off:
                self.close()
                raise BrokenOff
            if self._waiting:
                return self._take()
            if self._has_ended:
                self.close()
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    @property
    def has_news(self) -> bool:
        """Whether there are frames to be had now."""
        return bool(self._waiting)

    async def pour(self, sink: Sink) -> None:
        """Hand all frames to ``sink`` until they end.

        It is called where they are published: neither a task nor a turn of the loop stands between. What it raises is
        raised here, and is no concern of who publishes.

        Raises:
            BrokenOff: The sink had no room for too long, or what comes now comes elsewhere.
        """
        self._sink = sink
        self._waiter = asyncio.get_running_loop().create_future()
        self._wake()
        try:
            await self._waiter
        finally:
            self._sink = self._waiter = None
            self.close()
        if self._is_broken_off:
            raise BrokenOff

    def go_on(self) -> None:
        """Hand on what waits: the sink has room again."""
        self._has_room = True
        self._wake()

    def _fail(self, error: Exception) -> None:
        self._sink = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def _take(self) -> bytes:
        frames = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        return frames

    def _wake(self) -> None:
        if self._sink is None:
            self._be_done()
            return
        if self._waiting and self._has_room and not self._is_broken_off:
            self.put(self._take())
        if self._is_broken_off or (self._has_ended and not self._waiting):
            self._be_done()

    def _be_done(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Channel:
    """The frames of one run, and who listens."""

    __slots__ = ("_listeners", "_log", "epoch", "first_id", "is_live", "is_whole", "leg_id", "log_bytes", "next_id")

    def __init__(self, *, is_whole: bool = False) -> None:
        self._listeners: tuple[Listener, ...] = ()  # not a set: it is gone through for every token
        self._log: deque[bytes] = deque()
        #: Whether it began with the run: then its numbers are those that any listener has seen.
        self.is_whole = is_whole
        #: Whether more will come without anybody asking: not before outputs are submitted, and not after the end.
        self.is_live = True
        #: The epoch of the driver that it tells of.
        self.epoch: int | None = None
        self.log_bytes = 0
        #: The numbers of the oldest event that is kept, of the first one of this leg, and of the next one.
        self.first_id = self.leg_id = self.next_id = 1

    def follow(self, epoch: int) -> None:
        """Tell of a driver from now on; what another process did in between is missing."""
        if self.epoch is not None and epoch > self.epoch + 1:
            self.is_whole = False
        self.epoch = epoch

    def publish(self, frames: bytes, count: int) -> None:
        """Send frames that hold so many events."""
        if not self.is_live:
            self.is_live = True
            self.leg_id = self.next_id
        self.next_id += count
        self.log_bytes += len(frames)
        self._log.append(frames)
        while self.log_bytes > LOG_LIMIT_BYTES:
            oldest = self._log.popleft()
            self.log_bytes -= len(oldest)
            self.first_id += oldest.count(b"\n\n")
        for listener in self._listeners:
            listener.put(frames)

    def listen(self) -> Listener:
        """Listen to what comes from now on."""
        listener = Listener(self)
        self._listeners += (listener,)
        return listener

    def end_leg(self) -> None:
        """Say ``done`` to all listeners."""
        self.is_live = False
        for listener in self._listeners:
            listener.put(DONE)
            listener.end()

    def break_off(self) -> None:
        """Let all listeners go without a last word."""
        self.is_live = False
        for listener in self._listeners:
            listener.break_off()

    def leave(self, listener: Listener) -> None:
        """Listen no more."""
        self._listeners = tuple(each for each in self._listeners if each is not listener)

    def replay(self, after_id: int) -> list[bytes] | None:
        """Return the frames behind an event; ``None`` if not all of them are kept."""
        if not self.first_id - 1 <= after_id < self.next_id:
            return None
        frames = b"".join(self._log).split(b"\n\n")[:-1]
        return [b"%b\n\n" % each for each in frames[after_id + 1 - self.first_id :]]

    def last_frame(self) -> bytes | None:
        """Return the newest frame; ``None`` if it is not kept."""
        return self._log[-1].rstrip(b"\n").rpartition(b"\n\n")[2] if self._log else None


class Broadcast:
    """The channels of the runs that this process drives, or drove lately."""

    def __init__(self) -> None:
        self._channels: dict[str, Channel] = {}
        #: Since when runs have ended, or wait for outputs, oldest first; and what each counts for in ``_kept_bytes``.
        self._ended: dict[str, tuple[float, int]] = {}
        self._waiting: dict[str, tuple[float, int]] = {}
        self._kept_bytes = 0

    def open(self, run_id: str, *, is_new: bool = False) -> Channel:
        """Return the channel of a run, made if need be; the run may be new, too."""
        channel = self._channels.get(run_id)
        if channel is None:
            channel = self._channels[run_id] = Channel(is_whole=is_new)
        else:
            self._kept_bytes -= self._waiting.pop(run_id, (0.0, 0))[1]
        return channel

    def find(self, run_id: str) -> Channel | None:
        """Return the channel of a run, if there is one here."""
        return self._channels.get(run_id)

    def rest(self, run_id: str) -> None:
        """Say that a run waits for outputs."""
        self._keep(run_id, self._waiting)

    def end(self, run_id: str) -> None:
        """Say that a run has ended; its frames are kept for a while."""
        self._keep(run_id, self._ended)

    def forget(self, run_id: str) -> None:
        """Break a run's stream off and keep nothing of it: it goes on elsewhere, and its listeners must not think that
        this was all."""
        channel = self._drop(run_id)
        if channel is not None:
            channel.break_off()

    def _keep(self, run_id: str, resting: dict[str, tuple[float, int]]) -> None:
        channel = self._drop(run_id)
        if channel is None:
            return
        channel.end_leg()
        now = asyncio.get_running_loop().time()
        self._channels[run_id] = channel
        resting[run_id] = now, channel.log_bytes
        self._kept_bytes += channel.log_bytes
        for table, kept_s in ((self._ended, KEPT_S), (self._waiting, WAITING_S)):
            while table and (self._kept_bytes > KEPT_LIMIT_BYTES or now - next(iter(table.values()))[0] > kept_s):
                self._drop(next(iter(table)))

    def _drop(self, run_id: str) -> Channel | None:
        for table in (self._ended, self._waiting):
            self._kept_bytes -= table.pop(run_id, (0.0, 0))[1]
        return self._channels.pop(run_id, None)


class EventStream:
    """An answer that is a stream: frames as they come.

    Args:
        listener: Gives them; without one, nothing follows what came before.
        before: What came before.
        after_id: The number of the event before the first, where events have numbers.
        is_numbered: Whether the frames themselves bear their numbers: what the hosted API sent had none.
    """

    def __init__(
        self,
        listener: Listener | None,
        *,
        before: Sequence[bytes] = (),
        after_id: int | None = 0,
        is_numbered: bool = False,
    ) -> None:
        self._listener = listener
        self._before = b"".join(before)
        self._number = None
        self.after_id = after_id
        if is_numbered and after_id is not None:
            self._number = _numberer(after_id + 1)
            self._before = self._number(self._before)
        if listener is None:
            self._before += DONE

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> bytes:
        if self._before:
            before, self._before = self._before, b""
            return before
        if self._listener is None:
            raise StopAsyncIteration
        frames = await anext(self._listener)
        return self._number(frames) if self._number else frames

    @property
    def has_news(self) -> bool:
        """Whether there are frames to be had now."""
        return bool(self._before) or (self._listener is not None and self._listener.has_news)

    async def pour(self, sink: Sink) -> None:
        """Hand all frames to ``sink``. See `Listener.pour`."""
        if self._before:
            before, self._before = self._before, b""
            sink(before)
        if self._listener is not None:
            number = self._number
            await self._listener.pour(sink if number is None else lambda frames: sink(number(frames)))

    def go_on(self) -> None:
        """Hand on what waits: the sink has room again."""
        if self._listener is not None:
            self._listener.go_on()

    def break_silence(self, frames: bytes) -> None:
        """Send something beside the events, a comment, if nothing was sent since this was called last."""
        if self._listener is not None:
            if self._listener.is_silent:
                self._listener.put(frames)
            self._listener.is_silent = True

    def end(self) -> None:
        """Let the stream end now: nobody is there any more."""
        self._before = b""
        if self._listener is not None:
            self._listener.give_up()

    def close(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            self._listener.close()


def _numberer(first_id: int) -> Callable[[bytes], bytes]:
    """Return a function that puts an ``id:`` before each frame."""
    next_id = first_id

    def number(frames: bytes) -> bytes:
        nonlocal next_id
        numbered = []
        for each in frames.split(b"\n\n")[:-1]:
            if not each.startswith(b"event: thread."):
                numbered.append(b"%b\n\n" % each)
                continue
            numbered.append(b"id: %d\n%b\n\n" % (next_id, each))
            next_id += 1
        return b"".join(numbered)

    return number
