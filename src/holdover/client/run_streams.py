"""A run's events, as they come, for who iterates; ``run_receivers.py`` hands them over.

What is read, in which order and until when is decided in one flow (`_RunEvents`), which both kinds of stream carry out.
A stream only listens: closing it does not stop the run.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import suppress
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from holdover.errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APITimeoutError,
    BadRequestError,
)
from holdover.wire.runs import Run

from .exchange import (
    UNREADABLE,
    AsyncSend,
    Call,
    Flow,
    Outcome,
    Read,
    Send,
    Step,
    Target,
    carry_out,
    carry_out_async,
    exchange,
    exchange_raw,
    run,
    run_async,
    status_error,
)
from .transports import Response, TransportFailure

if TYPE_CHECKING:
    from holdover.wire.accumulate import EventData, Snapshots
    from holdover.wire.messages import Message
    from holdover.wire.steps import RunStep
    from holdover.wire.threads import Thread

    from .run_receivers import Wishes

#: How long an answer may take to end behind its last event, in seconds, for its connection to be kept.
LAST_WORD_S = 0.5


class RunEvent(msgspec.Struct, frozen=True, gc=False):
    """One event: its name, such as ``thread.message.delta``, and the record that came with it."""

    name: str
    data: EventData


class _RunEvents:
    """What both kinds of stream are: the flow of events, and what they have come to so far."""

    def __init__(self, target: Target, begin: Call[Run], wishes: Wishes, attached_to: Call[Run] | None = None) -> None:
        from holdover.wire.accumulate import Snapshots

        self._target = target
        self._begin = begin
        self._calls = wishes.calls
        self._answering = wishes.answering
        self._snapshots: Snapshots = Snapshots()
        self._incoming: Any = None
        self._is_closed = False
        self._attached_to = attached_to
        #: The number of the newest event, for `stream_run`; ``None`` where the service tells of no numbers.
        self.last_event_id: int | None = None

    @property
    def run(self) -> Run | None:
        """The run as last told; ``None`` before anything was."""
        return self._snapshots.run

    @property
    def thread(self) -> Thread | None:
        """The thread, where it was created with the run."""
        return self._snapshots.thread

    @property
    def messages(self) -> list[Message]:
        """The messages that the run wrote so far, as far as they came."""
        messages: list[Message] = self._snapshot("messages")
        return messages

    @property
    def steps(self) -> list[RunStep]:
        """The steps that the run made so far, as far as they came."""
        steps: list[RunStep] = self._snapshot("steps")
        return steps

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.run!r})"

    def _snapshot(self, name: str) -> Any:
        try:
            return getattr(self._snapshots, name)
        except UNREADABLE as error:
            raise self._unreadable(error) from error

    def _open(self, call: Call[Run]) -> Flow[None]:
        answer: Any = yield from exchange_raw(self._target, call)
        if not isinstance(answer, Response):
            self._incoming = answer
            told = answer.headers.get("holdover-event-id", "")
            self.last_event_id = int(told) if told.isdigit() else None
            return
        if answer.status != 200:
            raise status_error(answer)
        raise APIResponseValidationError(
            f"The answer of {self._base_url} to {call.method} {call.path} is not a stream.",
            status=answer.status,
            body=answer.body,
            request_id=answer.headers.get("x-request-id"),
        )

    def _flow(self) -> Generator[Step | RunEvent, Outcome, None]:
        """Yield events, and what must be done for more to come."""
        while True:
            yield from self._leg()
            if self.run is None and not self._has_left() and self._attached_to is not None:  # nothing was new
                self._snapshots.take((yield from exchange(self._target, self._attached_to)))
            if self._has_left() or (run := self.run) is None or not self._answering.is_asked(run):
                return
            outputs = yield from self._answering.outputs(self._target, self._calls, run)
            if self._has_left():
                return
            try:
                yield from self._open(self._calls.submit(run, outputs, stream=True))
            except BadRequestError as refusal:
                from holdover.wire.events import RUN_EVENTS

                from .function_calls import ended_meanwhile

                ended = yield from ended_meanwhile(self._target, self._calls, run, refusal)
                self._snapshots.take(ended)
                yield RunEvent(RUN_EVENTS[ended.status], ended)  # nobody told of it: the run's stream was at rest
                return

    def _has_left(self) -> bool:
        """Whether the stream was closed, which another thread or task may do at any time."""
        return self._is_closed

    def _leg(self) -> Generator[Step | RunEvent, Outcome, None]:
        """Yield the events of one answer: up to the end of the run, or to where it waits for outputs."""
        from holdover.wire.events import LAST_RUN_EVENTS
        from holdover.wire.sse import Parser, TooLong

        parser, decoders, take = Parser(), _decoders(), self._snapshots.take
        read = Read(self._incoming)
        name = ""
        while True:
            data = yield read
            if self._is_closed:  # by another thread or task: it has broken off, or is no longer wanted
                return
            if isinstance(data, TransportFailure):
                raise self._broken_off(data) from data
            try:
                for each in parser.feed(data) if data else parser.end():
                    if each.data == b"[DONE]":
                        yield Read(self._incoming, LAST_WORD_S)
                        return
                    decode = decoders.get(each.name)
                    if decode is None:  # newer than this client
                        continue
                    name = each.name
                    if self.last_event_id is not None:
                        self.last_event_id += 1
                    event = RunEvent(name, decode(each.data))
                    take(event.data)
                    yield event
            except (*UNREADABLE, TooLong) as error:
                raise self._unreadable(error) from error
            if not data:
                if name in LAST_RUN_EVENTS:
                    return
                raise self._broken_off(TransportFailure("it ended before the run did", was_sent=True))

    @property
    def _base_url(self) -> str:
        return self._begin.base_url or self._target.base_url

    def _broken_off(self, failure: TransportFailure) -> APIConnectionError:
        run = self.run
        goes_on = run is not None and not run.is_terminal
        hint = f" The run goes on: get_run('{run.thread_id}', '{run.id}') says how it is." if run and goes_on else ""
        if failure.timed_out:
            timeout_s = self._begin.timeout_s or self._target.timeout_s
            return APITimeoutError(f"Nothing came of the stream of {self._base_url} for {timeout_s:g} s.{hint}")
        return APIConnectionError(f"The stream of {self._base_url} broke off: {failure}.{hint}")

    def _unreadable(self, error: Exception) -> APIResponseValidationError:
        return APIResponseValidationError(
            f"The stream of {self._base_url} is not of the Assistants API: {error}.",
            status=self._incoming.status,
            request_id=self._incoming.headers.get("x-request-id"),
        )

    def _now(self) -> Flow[Run | None]:
        """Return the run that was attached to as it is now: its next event may be long in coming, or there is none."""
        if self._attached_to is None:
            return None
        return (yield from exchange(self._target, self._attached_to))

    def _last_run(self) -> Run:
        if self.run is None:
            raise APIConnectionError(f"The stream of {self._base_url} ended before it told of a run.")
        return self.run

    def _whole_text(self) -> str:
        return "".join(message.text for message in self.messages)


class RunStream(_RunEvents):
    """A run's events. Iterate over it once; use it in a ``with`` block, or `close` it, if you may leave early.

    One thread at a time iterates; any other may `close` it meanwhile.

    Raises, while iterating:
        APIConnectionError: The stream broke off, or said nothing for ``timeout_s``. The run goes on without it.
        APIError: The service told of an error instead of going on.
        APIResponseValidationError: What came is not of the wire.
        FunctionCallError: The run called what none of ``functions`` can answer; it was cancelled.
    """

    def __init__(
        self,
        target: Target,
        begin: Call[Run],
        wishes: Wishes,
        send: Send,
        sleep: Callable[[float], None],
        attached_to: Call[Run] | None = None,
    ) -> None:
        super().__init__(target, begin, wishes, attached_to)
        self._send = send
        self._sleep = sleep
        self._events = self._walk()

    def open(self) -> RunStream:
        """Ask for the events, once; the client has done so."""
        run(self._open(self._begin), self._send, self._sleep)
        return self

    def __iter__(self) -> Iterator[RunEvent]:
        return self._events

    def __next__(self) -> RunEvent:
        return next(self._events)

    @property
    def text_deltas(self) -> Iterator[str]:
        """The new pieces of text, as they come."""
        return (text for event in self if (text := _new_text(event)))

    def _attached_run(self) -> Run | None:
        """Ask how the run is that was attached to; ``None`` where it was begun with this stream, which tells of it."""
        return run(self._now(), self._send, self._sleep)

    def until_done(self) -> Run:
        """Read all that is still to come; return the run as last told: it has ended, or waits for outputs."""
        for _ in self._events:
            pass
        return self._last_run()

    def text(self) -> str:
        """Read all that is still to come; return all that was said."""
        self.until_done()
        return self._whole_text()

    def close(self) -> None:
        """Listen no more. The run goes on.

        For another thread that is reading, the events end: at once, or, through an ``http_client`` whose connection
        cannot be had, when something comes or its time runs out.
        """
        self._is_closed = True
        self._incoming.close()
        with suppress(ValueError):  # another thread is reading: it finds the end, and closes what is left
            self._events.close()

    def __enter__(self) -> RunStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _walk(self) -> Generator[RunEvent, None, None]:
        flow = self._flow()
        try:
            step = next(flow)
            while True:
                if isinstance(step, RunEvent):
                    yield step
                    step = next(flow)
                else:
                    step = flow.send(carry_out(step, self._send, self._sleep))
        except StopIteration:
            return
        finally:
            self._incoming.close()


class AsyncRunStream(_RunEvents):
    """A run's events, for ``async for``. Use it in an ``async with`` block, or `close` it, if you may leave early.

    Raises, while iterating: As `RunStream`.
    """

    def __init__(
        self,
        target: Target,
        begin: Call[Run],
        wishes: Wishes,
        send: AsyncSend,
        sleep: Callable[[float], Awaitable[None]],
        attached_to: Call[Run] | None = None,
    ) -> None:
        super().__init__(target, begin, wishes, attached_to)
        self._send = send
        self._sleep = sleep
        self._events = self._walk()

    async def open(self) -> AsyncRunStream:
        """Ask for the events, once; the client has done so."""
        await run_async(self._open(self._begin), self._send, self._sleep)
        return self

    def __aiter__(self) -> AsyncIterator[RunEvent]:
        return self._events

    async def __anext__(self) -> RunEvent:
        return await anext(self._events)

    @property
    def text_deltas(self) -> AsyncIterator[str]:
        """The new pieces of text, as they come."""
        return (text async for event in self if (text := _new_text(event)))

    async def _attached_run(self) -> Run | None:
        """Ask how the run is that was attached to; ``None`` where it was begun with this stream, which tells of it."""
        return await run_async(self._now(), self._send, self._sleep)

    async def until_done(self) -> Run:
        """Read all that is still to come; return the run as last told: it has ended, or waits for outputs."""
        async for _ in self._events:
            pass
        return self._last_run()

    async def text(self) -> str:
        """Read all that is still to come; return all that was said."""
        await self.until_done()
        return self._whole_text()

    async def close(self) -> None:
        """Listen no more. The run goes on. For another task that is reading, the events end."""
        self._is_closed = True
        await self._incoming.close()
        # Where another task is reading, it finds the end and closes what is left.
        if not self._events.ag_running:  # type: ignore[attr-defined]
            await self._events.aclose()

    async def __aenter__(self) -> AsyncRunStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _walk(self) -> AsyncGenerator[RunEvent, None]:
        flow = self._flow()
        try:
            step = next(flow)
            while True:
                if isinstance(step, RunEvent):
                    yield step
                    step = next(flow)
                else:
                    step = flow.send(await carry_out_async(step, self._send, self._sleep))
        except StopIteration:
            return
        finally:
            await self._incoming.close()


def _new_text(event: RunEvent) -> str:
    return event.data.text if event.name == "thread.message.delta" else ""  # type: ignore[union-attr]


@cache
def _decoders() -> dict[str, Callable[[bytes], Any]]:
    """Return what reads the data of each event, by the event's name."""
    from holdover.wire.events import RECORDS

    decoders = {record: msgspec.json.Decoder(record).decode for record in set(RECORDS.values())}
    return {name: decoders[record] for name, record in RECORDS.items()} | {"error": _raise_error}


def _raise_error(data: bytes) -> None:
    """Raise what an ``error`` event tells of; some services wrap it as in an answer."""
    from holdover.wire.events import StreamError

    members = msgspec.json.decode(data)
    if isinstance(members, dict) and isinstance(members.get("error"), dict):
        members = members["error"]
    told = msgspec.convert(members, StreamError)
    message = told.message or "The service told of an error and gave no reason."
    raise APIError(message, body=members, code=told.code, param=told.param, type=told.type)
