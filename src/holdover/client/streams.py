"""Where answers may be sent besides being returned: ``stream_to``.

A receiver is a function, or anything with ``put_nowait`` or ``put``: a ``queue.Queue`` or an ``asyncio.Queue`` is
Python's mailbox. It gets ``Data(value)`` for every object, then ``Finish()``, or ``Failure(error)`` and nothing more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
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


Receiver = Callable[[Event], Any] | Mailbox


def deliver(receiver: Receiver, event: Event) -> None:
    """Hand an event over; a full mailbox is waited for where it can be."""
    if callable(receiver):
        receiver(event)
    elif _waits(receiver):
        receiver.put(event)  # type: ignore[attr-defined]
    else:
        receiver.put_nowait(event)


async def deliver_async(receiver: Receiver, event: Event) -> None:
    """Hand an event over from a coroutine; what the receiver returns is awaited if it can be."""
    if callable(receiver):
        result = receiver(event)
    elif _waits(receiver):
        result = receiver.put_nowait(event)  # waiting would hold up the loop
    else:
        result = receiver.put(event)  # type: ignore[attr-defined]
    if isinstance(result, Awaitable):
        await result


def _waits(receiver: Any) -> bool:
    """Whether a mailbox's ``put`` holds up its thread until there is room; that of an ``asyncio.Queue`` does not."""
    from inspect import iscoroutinefunction

    return hasattr(receiver, "put") and not iscoroutinefunction(receiver.put)
