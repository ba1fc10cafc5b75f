"""Where answers may be sent besides being returned: ``stream_to``.

A receiver is a function, or anything with ``put_nowait`` or ``put``: a ``queue.Queue`` or an ``asyncio.Queue`` is
Python's mailbox. It gets ``Data(value)`` for every object, then ``Finish()``, or ``Failure(error)`` and nothing more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any, Generic, Protocol, TypeVar

import msgspec

T = TypeVar("T")


class Data(msgspec.Struct, Generic[T], frozen=True):
    """One object."""

    value: T


class Finish(msgspec.Struct, frozen=True):
    """All came."""


class Failure(msgspec.Struct, frozen=True):
    """No more will come, for this reason. The call raises it as well."""

    error: BaseException


Event = Data[Any] | Finish | Failure


class Mailbox(Protocol):
    """What queues have in common."""

    def put_nowait(self, item: Any, /) -> Any: ...


class Endless(Protocol):
    """A mailbox that is never full, so that there is one way to put something into it."""

    def put(self, item: Any, /) -> Any: ...


Receiver = Callable[[Event], Any] | Mailbox | Endless


def check(receiver: Receiver, *, can_await: bool) -> None:
    """Refuse what cannot receive.

    Raises:
        TypeError: It is neither a function nor a queue, or an async function that a sync client cannot await.
    """
    if not (callable(receiver) or hasattr(receiver, "put_nowait") or hasattr(receiver, "put")):
        raise TypeError(f"stream_to is a function or a queue, not {type(receiver).__name__}.")
    if not can_await and iscoroutinefunction(receiver):
        raise TypeError("stream_to is an async function, which AsyncClient can await and Client cannot.")


def deliver(receiver: Receiver, event: Event) -> None:
    """Hand an event over; a full mailbox is waited for where it can be."""
    if callable(receiver):
        receiver(event)
    elif hasattr(receiver, "put") and not _puts_async(receiver):
        receiver.put(event)
    else:
        receiver.put_nowait(event)  # type: ignore[union-attr]


async def deliver_async(receiver: Receiver, event: Event) -> None:
    """Hand an event over from a coroutine; what the receiver returns is awaited if it can be."""
    if callable(receiver):
        result = receiver(event)
    elif _puts_async(receiver) or not hasattr(receiver, "put_nowait"):
        result = receiver.put(event)  # type: ignore[union-attr]
    else:
        result = receiver.put_nowait(event)  # waiting would hold up the loop
    if isinstance(result, Awaitable):
        await result


def _puts_async(receiver: Any) -> bool:
    """Whether ``put`` is awaited, as that of an ``asyncio.Queue``."""
    return iscoroutinefunction(getattr(receiver, "put", None))
