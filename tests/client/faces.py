"""The two faces of the client behind one, so that the same test goes through both."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import holdover
from holdover import AsyncRunStream
from holdover.client.pages import AsyncPage

from .scripted import AsyncScripted, Scripted


class Face:
    """Makes clients that are called without ``await``, whichever face they have.

    Every client's pauses are not waited for; they are kept in its ``pauses``.
    """

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self.name = name
        self._loop = loop

    @property
    def is_async(self) -> bool:
        return self.name == "async"

    def client(self, script: Scripted | None = None, **settings: Any) -> Any:
        """Return a client, of a script or of a service."""
        if not self.is_async:
            return _unhurried(holdover.Client(**{"transport": script, **settings}))
        transport = None if script is None else AsyncScripted(script)
        return self._patient(holdover.AsyncClient(**{"transport": transport, **settings}))

    @contextmanager
    def embedded(self, *arguments: Any, **options: Any) -> Iterator[Any]:
        """Run a service in this process."""
        if not self.is_async:
            with holdover.embedded(*arguments, **options) as client:
                yield _unhurried(client)
            return
        service = holdover.embedded(*arguments, **options)
        client = self.wait_for(service.__aenter__())
        try:
            yield self._patient(client)
        finally:
            self.wait_for(service.__aexit__(None, None, None))

    def settled(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a function returns, or what comes of waiting for it."""
        result = function(*arguments)
        return self.wait_for(result) if inspect.isawaitable(result) else result

    def wait_for(self, awaitable: Any) -> Any:
        async def wait() -> Any:
            return await awaitable

        return self._loop.run_until_complete(wait())

    def _patient(self, client: holdover.AsyncClient) -> Any:
        pauses: list[float] = []

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)

        client._sleep = sleep  # type: ignore[method-assign]
        client.pauses = pauses  # type: ignore[attr-defined]
        return Blocking(client, self.wait_for)


def _unhurried(client: holdover.Client) -> holdover.Client:
    pauses: list[float] = []
    client._sleep = pauses.append  # type: ignore[method-assign]
    client.pauses = pauses  # type: ignore[attr-defined]
    return client


class Blocking:
    """An async client, page or stream whose methods wait for what they return."""

    def __init__(self, subject: Any, wait_for: Callable[[Any], Any]) -> None:
        self._subject = subject
        self._wait_for = wait_for

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._subject, name)
        if not callable(member):
            return self._settled(member)
        return lambda *arguments, **options: self._settled(member(*arguments, **options))

    def __iter__(self) -> Iterator[Any]:
        return self._walked(aiter(self._subject))

    def __next__(self) -> Any:
        try:
            return self._wait_for(anext(self._subject))
        except StopAsyncIteration:
            raise StopIteration from None

    def __repr__(self) -> str:
        return repr(self._subject)

    def __enter__(self) -> Blocking:
        self._wait_for(self._subject.__aenter__())
        return self

    def __exit__(self, *error: Any) -> None:
        self._wait_for(self._subject.__aexit__(*error))

    def _settled(self, result: Any) -> Any:
        if inspect.isawaitable(result):
            result = self._wait_for(result)
        if isinstance(result, AsyncPage | AsyncRunStream):
            return Blocking(result, self._wait_for)
        return self._walked(result) if hasattr(result, "__anext__") else result

    def _walked(self, iterator: Any) -> Iterator[Any]:
        while True:
            try:
                each = self._wait_for(anext(iterator))
            except StopAsyncIteration:
                return
            yield self._settled(each)
