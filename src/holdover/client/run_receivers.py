"""What a caller wants of a run's events, and handing them over: while the caller waits, or in the background."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from holdover.errors import HoldoverError

from .calls import OF_EVENTS
from .streams import Data, Failure, Finish, Receiver, check, deliver, deliver_async

if TYPE_CHECKING:
    from holdover.wire.runs import Run

    from .run_streams import AsyncRunStream, RunStream


class Wishes:
    """What a caller wants of a run's events.

    Attributes:
        receiver: Where they go, if anywhere.
        in_background: Whether they go there while the caller goes on.
        answering: Who answers calls.
        rest: The other options.
        calls: Further calls about the run.

    Raises:
        TypeError: They contradict each other, or something cannot do what it is to do.
    """

    def __init__(self, options: Mapping[str, Any], *, stream: bool, can_await: bool) -> None:
        from .function_calls import Answering, RunCalls

        told = {name: options[name] for name in OF_EVENTS & options.keys()}
        self.rest = {name: each for name, each in options.items() if name not in told}
        self.receiver: Receiver | None = told.pop("stream_to", None)
        self.in_background = bool(told.pop("background", False))
        if self.receiver is not None:
            check(self.receiver, can_await=can_await)
        if stream and self.receiver is not None:
            raise TypeError("stream=True returns the events, and stream_to=… hands them over: give one of them.")
        if self.in_background and self.receiver is None:
            raise TypeError("background=True wants to know where events go: give stream_to=….")
        if told.get("functions") and not stream and self.receiver is None:
            raise TypeError(
                "functions=… answer calls as they come: give stream=True or stream_to=…, or run_and_wait()."
            )
        self.answering = Answering(**told, can_await=can_await)
        self.calls = RunCalls(self.rest)


def hand_over(receiver: Receiver, open: Callable[[], RunStream], begun: Callable[[Run], None] | None = None) -> Run:
    """Hand all events of a stream to a receiver; return the run as last told.

    Args:
        begun: Called with the run as soon as there is one, and again before each event and at the end. One that was
            attached to is asked for: it may have no new event.
    """
    try:
        with open() as stream:
            if begun is not None and (attached := stream._attached_run()) is not None:
                begun(attached)
            for event in stream:
                if begun is not None and stream.run is not None:
                    begun(stream.run)
                deliver(receiver, Data(event))
            last = stream.until_done()
            if begun is not None:
                begun(last)
    except Exception as error:
        deliver(receiver, Failure(error))
        raise
    deliver(receiver, Finish())
    return last


async def hand_over_async(
    receiver: Receiver, open: Callable[[], Awaitable[AsyncRunStream]], begun: Callable[[Run], None] | None = None
) -> Run:
    """Hand all events of a stream to a receiver; return the run as last told. See `hand_over`."""
    try:
        async with await open() as stream:
            if begun is not None and (attached := await stream._attached_run()) is not None:
                begun(attached)
            async for event in stream:
                if begun is not None and stream.run is not None:
                    begun(stream.run)
                await deliver_async(receiver, Data(event))
            last = await stream.until_done()
            if begun is not None:
                begun(last)
    except Exception as error:
        await deliver_async(receiver, Failure(error))
        raise
    await deliver_async(receiver, Finish())
    return last


def hand_over_in_background(receiver: Receiver, open: Callable[[], RunStream]) -> Run:
    """Hand all events of a stream to a receiver in a thread of their own; return the run as first told."""
    from concurrent.futures import Future
    from threading import Thread

    first: Future[Run] = Future()

    def work() -> None:
        try:
            hand_over(receiver, open, partial(_settle, first))
        except Exception as error:
            _tell(first, error)

    Thread(target=work, name="holdover-stream", daemon=True).start()
    return first.result()


async def hand_over_in_background_async(
    receiver: Receiver, open: Callable[[], Awaitable[AsyncRunStream]], tasks: set[Any]
) -> Run:
    """Hand all events of a stream to a receiver in a task of their own; return the run as first told."""
    import asyncio

    first: asyncio.Future[Run] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        try:
            await hand_over_async(receiver, open, partial(_settle, first))
        except Exception as error:
            _tell(first, error)

    task = asyncio.create_task(work())
    tasks.add(task)  # a loop holds its tasks weakly
    task.add_done_callback(tasks.discard)
    return await first


def _settle(first: Any, run: Run) -> None:
    if not first.done():
        first.set_result(run)


def _tell(first: Any, error: Exception) -> None:
    """Tell the caller of an error, or, when it has gone on, leave it to the receiver, who was told."""
    if not first.done():
        first.set_exception(error)
    elif not isinstance(error, HoldoverError):  # the receiver's own
        raise error
