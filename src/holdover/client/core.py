"""What the nouns' methods stand on: running a call, and handing its result to a receiver.

Settings, construction and closing belong to ``clients.py``; what a call is, to ``exchange.py``.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from .exchange import Call, Target, exchange, run, run_async
from .pages import AsyncPage, Page
from .streams import Data, Failure, Finish, Receiver, check, deliver, deliver_async
from .transports import AsyncTransport, Transport

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Core:
    """Runs calls and waits for them."""

    _target: Target
    _transport: Transport
    _sleep: Callable[[float], None] = staticmethod(time.sleep)

    def _run(self, call: Call[T]) -> T:
        return run(exchange(self._target, call), self._transport.send, self._sleep)

    def _streamed(self, options: Mapping[str, Any], make: Callable[[Mapping[str, Any]], T]) -> T:
        """Make an object and hand it to ``stream_to`` as well, where one is given."""
        receiver, rest = _split(options, can_await=False)
        if receiver is None:
            return make(rest)
        try:
            made = make(rest)
        except Exception as error:
            deliver(receiver, Failure(error))
            raise
        deliver(receiver, Data(made))
        deliver(receiver, Finish())
        return made

    def _streamed_pages(self, options: Mapping[str, Any], fetch: Callable[[Mapping[str, Any]], Page[T]]) -> Page[T]:
        """Fetch a page; where ``stream_to`` is given, hand it every object of this page and all that follow."""
        receiver, rest = _split(options, can_await=False)
        if receiver is None:
            return fetch(rest)
        try:
            page = fetch(rest)
            following = page.all_pages()
            while (each := next(following, _NOTHING)) is not _NOTHING:
                deliver(receiver, Data(each))
        except Exception as error:
            deliver(receiver, Failure(error))
            raise
        deliver(receiver, Finish())
        return page


class AsyncCore:
    """Runs calls on the running loop."""

    _target: Target
    _transport: AsyncTransport
    _tasks: set[Any]

    async def _sleep(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)

    async def _run(self, call: Call[T]) -> T:
        return await run_async(exchange(self._target, call), self._transport.send, self._sleep)

    async def _streamed(self, options: Mapping[str, Any], make: Callable[[Mapping[str, Any]], Awaitable[T]]) -> T:
        """Make an object and hand it to ``stream_to`` as well, where one is given."""
        receiver, rest = _split(options, can_await=True)
        if receiver is None:
            return await make(rest)
        try:
            made = await make(rest)
        except Exception as error:
            await deliver_async(receiver, Failure(error))
            raise
        await deliver_async(receiver, Data(made))
        await deliver_async(receiver, Finish())
        return made

    async def _streamed_pages(
        self, options: Mapping[str, Any], fetch: Callable[[Mapping[str, Any]], Awaitable[AsyncPage[T]]]
    ) -> AsyncPage[T]:
        """Fetch a page; where ``stream_to`` is given, hand it every object of this page and all that follow."""
        receiver, rest = _split(options, can_await=True)
        if receiver is None:
            return await fetch(rest)
        try:
            page = await fetch(rest)
            async for each in page.all_pages():
                await deliver_async(receiver, Data(each))
        except Exception as error:
            await deliver_async(receiver, Failure(error))
            raise
        await deliver_async(receiver, Finish())
        return page


_NOTHING: Any = object()


def _split(options: Mapping[str, Any], *, can_await: bool) -> tuple[Receiver | None, Mapping[str, Any]]:
    if "stream_to" not in options:
        return None, options
    rest = dict(options)
    receiver = rest.pop("stream_to")
    if receiver is not None:
        check(receiver, can_await=can_await)
    return receiver, rest


def same_docstring(source: Callable[..., Any]) -> Callable[[F], F]:
    """Give a method the docstring of the function that it is the method of."""

    def give(method: F) -> F:
        method.__doc__ = source.__doc__
        return method

    return give
