"""Who listens to a run: its frames, as they come, to whoever asked; and for a while to whoever asks later.

A listener that hangs up changes nothing, and one that cannot keep up is let go: what waits for it is bounded.
Frames are bytes that are ready to be sent; the events of a run are numbered from 1, over all its legs (a leg is what
lies between two answers: up to ``requires_action``, or up to the end).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from holdover.wire.events import DONE

#: What may wait for one listener, in bytes, before it is let go.
LISTENER_LIMIT_BYTES = 1024 * 1024
#: What is kept of one run for those who attach later, in bytes.
LOG_LIMIT_BYTES = 1024 * 1024
#: How long a run that has ended can still be attached to from memory, in seconds, and what that may take altogether.
KEPT_S = 60.0
KEPT_LIMIT_BYTES = 64 * 1024 * 1024


class TooSlow(Exception):
    """A listener did not take its frames in time."""


#: Takes frames and says whether it has room for more.
Sink = Callable[[bytes], bool]


class Listener:
    """One who listens: an asynchronous iterator of frames, joined where several wait; or `pour` hands them on."""

    __slots__ = (
        "_bytes",
        "_channel",
        "_has_ended",
        "_has_room",
        "_is_too_slow",
        "_pouring",
        "_sink",
        "_waiter",
        "_waiting",
        "first_id",
    )

    def __init__(self, channel: Channel, first_id: int) -> None:
        self._channel = channel
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._has_ended = False
        self._is_too_slow = False
        self._sink: Sink | None = None
        self._pouring: asyncio.Handle | None = None
        self._has_room = True
        #: The number of the first event that it gets.
        self.first_id = first_id

    def put(self, frames: bytes) -> None:
        """Have frames wait for the listener."""
        if self._is_too_slow:
            return
        self._bytes += len(frames)
        if self._bytes > LISTENER_LIMIT_BYTES:
            self._is_too_slow = True
            self._waiting.clear()
        else:
            self._waiting.append(frames)
        self._wake()

    def end(self) -> None:
        """Let the listener end once it has taken all."""
        self._has_ended = True
        self._wake()

    def close(self) -> None:
        """Listen no more."""
        self._channel.leave(self)

    def __aiter__(self) -> Listener:
        return self

    async def __anext__(self) -> bytes:
        while True:
            if self._is_too_slow:
                self.close()
                raise TooSlow
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
        """Hand all frames to ``sink``, those of one turn of the loop together, until they end.

        It is called by the loop, not by a task that would have to be woken for every token.

        Raises:
            TooSlow: The sink had no room for too long.
        """
        self._sink = sink
        self._waiter = asyncio.get_running_loop().create_future()
        self._wake()
        try:
            await self._waiter
        finally:
            self._sink = self._waiter = None
            self.close()
        if self._is_too_slow:
            raise TooSlow

    def go_on(self) -> None:
        """Hand on what waits: the sink has room again."""
        self._has_room = True
        self._wake()

    def _pour(self) -> None:
        self._pouring = None
        if self._sink is None:
            return
        if self._waiting and self._has_room:
            self._has_room = self._sink(self._take())
        if self._is_too_slow or (self._has_ended and not self._waiting):
            self._be_done()

    def _take(self) -> bytes:
        frames = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        return frames

    def _wake(self) -> None:
        if self._sink is None:
            self._be_done()
        elif self._pouring is None:
            self._pouring = asyncio.get_running_loop().call_soon(self._pour)

    def _be_done(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Channel:
    """The frames of one run, and who listens."""

    __slots__ = ("_first", "_is_over", "_listeners", "_log", "is_between_legs", "log_bytes", "next_id")

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._log: list[bytes] | None = []
        self._is_over = False
        self.is_between_legs = False
        self.log_bytes = 0
        self.next_id = 1

    def publish(self, frames: bytes, count: int) -> None:
        """Send frames that hold so many events."""
        self.is_between_legs = False
        self.next_id += count
        if self._log is not None:
            self.log_bytes += len(frames)
            self._log.append(frames)
            if self.log_bytes > LOG_LIMIT_BYTES:
                self._log = None
                self.log_bytes = 0
        for listener in self._listeners:
            listener.put(frames)

    def listen(self) -> Listener:
        """Listen to what comes from now on."""
        listener = Listener(self, self.next_id)
        self._listeners.add(listener)
        return listener

    def end_leg(self, *, is_over: bool) -> None:
        """Say ``done`` to all listeners; ``is_over`` where nothing will ever follow."""
        self.is_between_legs = True
        self._is_over = is_over
        for listener in list(self._listeners):
            listener.put(DONE)
            listener.end()

    def leave(self, listener: Listener) -> None:
        """Listen no more."""
        self._listeners.discard(listener)

    def replay(self, after_id: int) -> tuple[bytes, int] | None:
        """Return the frames behind an event with their ids, and the next number; ``None`` if they are not kept."""
        if self._log is None:
            return None
        frames = b"".join(self._log).split(b"\n\n")[:-1]
        first = self.next_id - len(frames)
        numbered = [
            b"id: %d\n%b\n\n" % (number, each) for number, each in enumerate(frames, first) if number > after_id
        ]
        return b"".join(numbered), self.next_id


class Broadcast:
    """The channels of the runs that this process drives, or drove lately."""

    def __init__(self) -> None:
        self._channels: dict[str, Channel] = {}
        self._ended: deque[tuple[float, str]] = deque()
        self._kept_bytes = 0

    def open(self, run_id: str) -> Channel:
        """Return the channel of a run, made if need be."""
        channel = self._channels.get(run_id)
        if channel is None:
            channel = self._channels[run_id] = Channel()
        return channel

    def find(self, run_id: str) -> Channel | None:
        """Return the channel of a run, if there is one here."""
        return self._channels.get(run_id)

    def end(self, run_id: str) -> None:
        """Say that a run has ended; its frames are kept for a while."""
        channel = self._channels.get(run_id)
        if channel is None:
            return
        channel.end_leg(is_over=True)
        now = asyncio.get_running_loop().time()
        self._ended.append((now, run_id))
        self._kept_bytes += channel.log_bytes
        while self._ended and (now - self._ended[0][0] > KEPT_S or self._kept_bytes > KEPT_LIMIT_BYTES):
            gone = self._channels.pop(self._ended.popleft()[1], None)
            self._kept_bytes -= gone.log_bytes if gone else 0

    def forget(self, run_id: str) -> None:
        """End a run's stream and keep nothing of it: it goes on elsewhere."""
        channel = self._channels.pop(run_id, None)
        if channel is not None:
            channel.end_leg(is_over=True)


class EventStream:
    """An answer that is a stream: frames as they come, and the number of the event before the first."""

    def __init__(self, listener: Listener | None, *, before: bytes = b"", after_id: int = 0, numbered: bool = False):
        self._listener = listener
        self._before = before
        self.after_id = after_id
        self._number = (_numberer(listener.first_id) if listener else None) if numbered else None

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

    def put(self, frames: bytes) -> None:
        """Have something sent beside the events: a comment."""
        if self._listener is not None:
            self._listener.put(frames)

    def end(self) -> None:
        """Let the stream end once what waits was taken: nobody is there any more."""
        self._before = b""
        if self._listener is not None:
            self._listener.close()
            self._listener.end()

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
