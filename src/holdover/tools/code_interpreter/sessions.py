"""One session a thread: made at first use, closed when it is idle, when others need the room, and at the end.

A session can be gone whenever it is asked for; whoever asks is told that it is new, and whether there was one before:
then files must be put again, and the model told that variables are gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from ... import telemetry
from .protocol import SandboxBackend, SandboxError, Session, SessionEnded, SessionSpec

#: How often idle sessions are looked for, at the most.
REAP_EVERY_S = 60.0
#: For so many threads it is remembered that they had a session.
MAX_REMEMBERED = 10_000


class Used(msgspec.Struct, frozen=True):
    """A session in use.

    Attributes:
        is_new: It has no files and no variables yet.
        was_lost: It is new, and the thread had one before in this process.
    """

    session: Session
    is_new: bool
    was_lost: bool


class _Held:
    """What a thread has: a session or none, a lock for one execution at a time, and when it was last used."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self.lock = asyncio.Lock()
        self.users = 0
        self.opened_at = 0.0
        self.used_at = 0.0


class Sessions:
    """Keeps sessions by thread.

    Args:
        backend: Finds the sandbox; asked at every opening, so that it may find it late.
        max_sessions: How many there may be at once; the one that was least recently used makes room.
        idle_s, lifetime_s: Seconds after which one is closed: since its last use, and since it was opened.
        warm: How many are opened beforehand, with the spec's modules imported; from the first use on.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        backend: Callable[[], Awaitable[SandboxBackend]],
        spec: SessionSpec,
        *,
        max_sessions: int = 50,
        idle_s: float = 3600.0,
        lifetime_s: float | None = None,
        warm: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backend = backend
        self._spec = spec
        self._max = max_sessions
        self._idle_s = idle_s
        self._lifetime_s = lifetime_s
        self._warm_wanted = warm
        self._clock = clock
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._lost: OrderedDict[str, None] = OrderedDict()
        self._warm: list[Session] = []
        self._open = 0
        self._has_room = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._warming: asyncio.Task[None] | None = None
        self._is_closed = False

    @contextlib.asynccontextmanager
    async def use(self, thread_id: str) -> AsyncIterator[Used]:
        """Have a thread's session to oneself.

        Raises:
            SandboxUnavailable: There is no sandbox here.
            SandboxError: It could not be opened.
        """
        held = self._held.setdefault(thread_id, _Held())
        held.users += 1
        try:
            async with held.lock:
                self._held.move_to_end(thread_id)
                yield await self._used(thread_id, held)
        finally:
            held.users -= 1
            held.used_at = self._clock()
            if held.session is not None and not held.session.is_alive:
                await self._let_go(thread_id, held, "crashed")
            if held.session is None and not held.users and self._held.get(thread_id) is held:
                del self._held[thread_id]
            async with self._has_room:
                self._has_room.notify_all()

    async def interrupt(self, thread_id: str) -> bool:
        """Stop what a thread's session executes; ``False`` where nothing is."""
        held = self._held.get(thread_id)
        return held is not None and held.session is not None and await held.session.interrupt()

    async def forget(self, thread_id: str) -> None:
        """Close a thread's session, also while it is used; the thread is gone."""
        held = self._held.get(thread_id)
        if held is not None:
            await self._let_go(thread_id, held, "forgotten")
            if not held.users:
                self._held.pop(thread_id, None)
        self._lost.pop(thread_id, None)

    async def reap(self) -> None:
        """Close the sessions that have been idle, or open, for too long."""
        now = self._clock()
        for thread_id, held in list(self._held.items()):
            is_old = self._lifetime_s is not None and now - held.opened_at >= self._lifetime_s
            if not held.users and held.session is not None and (is_old or now - held.used_at >= self._idle_s):
                del self._held[thread_id]
                await self._let_go(thread_id, held, "idle")
        async with self._has_room:
            self._has_room.notify_all()

    async def close(self) -> None:
        """Close all of them, and wait until every process is gone."""
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        warm, self._warm = self._warm, []
        await asyncio.gather(
            *(self._let_go(thread_id, held, "stopped") for thread_id, held in list(self._held.items())),
            *(session.close() for session in warm),
        )

    # ---------------------------------------------------------------------------------------- opening

    async def _used(self, thread_id: str, held: _Held) -> Used:
        if held.session is not None and held.session.is_alive:
            return Used(held.session, is_new=False, was_lost=False)
        was_lost = held.session is not None or thread_id in self._lost
        if held.session is not None:
            await self._let_go(thread_id, held, "crashed")
        held.session = await self._new()
        held.opened_at = self._clock()
        self._lost.pop(thread_id, None)
        return Used(held.session, is_new=True, was_lost=was_lost)

    async def _new(self) -> Session:
        if self._is_closed:
            raise SessionEnded("The service is stopping.")
        started = time.monotonic()
        await self._make_room()
        self._open += 1
        try:
            session = self._take_warm()
            is_warm = session is not None
            if session is None:
                backend = await self._backend()
                session = await backend.open(msgspec.structs.replace(self._spec, preload=()))
        except BaseException:
            self._open -= 1
            raise
        telemetry.emit("sandbox.open", seconds=time.monotonic() - started, is_warm=is_warm)
        self._keep_warm()
        return session

    async def _make_room(self) -> None:
        """Wait until one more may be open, closing what was not used for longest."""
        while self._open >= self._max:
            idle = next(((name, held) for name, held in self._held.items() if held.session and not held.users), None)
            if idle is not None:
                del self._held[idle[0]]
                await self._let_go(*idle, "evicted")
                continue
            async with self._has_room:
                await self._has_room.wait()

    async def _let_go(self, thread_id: str, held: _Held, reason: str) -> None:
        session, held.session = held.session, None
        if session is None:
            return
        self._open -= 1
        self._lost[thread_id] = None
        while len(self._lost) > MAX_REMEMBERED:
            self._lost.popitem(last=False)
        await session.close()
        telemetry.emit("sandbox.end", reason=reason, seconds=self._clock() - held.opened_at)

    # ---------------------------------------------------------------------------------------- warming

    def _take_warm(self) -> Session | None:
        while self._warm:
            if (session := self._warm.pop()).is_alive:
                return session
        return None

    def _keep_warm(self) -> None:
        """Look after sessions in the background, from the first use on."""
        if not self._tasks:
            self._start(self._reap_for_ever())
        if self._warm_wanted and (self._warming is None or self._warming.done()):
            self._warming = self._start(self._warm_up())

    def _start(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _warm_up(self) -> None:
        while len(self._warm) < self._warm_wanted:
            try:
                backend = await self._backend()
                self._warm.append(await backend.open(self._spec))
            except SandboxError:
                return  # whoever opens one next is told

    async def _reap_for_ever(self) -> None:
        while True:
            await asyncio.sleep(min(REAP_EVERY_S, self._idle_s))
            await self.reap()
