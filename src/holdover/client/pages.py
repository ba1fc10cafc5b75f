"""Pages of a list that know how to fetch the next one.

A list asked for with ``before`` alone is walked backwards, from the cursor towards the list's beginning: pages and
the objects in them come nearest first, so that both directions give the same objects in opposite order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from holdover.wire.pages import ListPage

T = TypeVar("T")


class PageOf(Generic[T]):
    """What both kinds of page are: the objects, the cursors, and the options that fetch the next page."""

    def __init__(self, page: ListPage[T], options: Mapping[str, Any]) -> None:
        self.data = page.data
        self.first_id = page.first_id
        self.last_id = page.last_id
        self.has_more = page.has_more
        self._options = options
        self._is_backwards = bool(options.get("before")) and not options.get("after")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.data)} objects, first_id={self.first_id!r}, has_more={self.has_more})"

    def to_dict(self) -> dict[str, Any]:
        """Return the page as the wire's JSON object."""
        return ListPage(data=self.data, first_id=self.first_id, last_id=self.last_id, has_more=self.has_more).to_dict()

    def next_options(self) -> dict[str, Any] | None:
        """Return the options that fetch the next page, ``None`` when this is the last."""
        if not self.has_more or not self.data:
            return None
        if self._is_backwards:
            return {**self._options, "before": self.first_id}
        return {**self._options, "after": self.last_id}

    def _in_walking_order(self) -> list[T]:
        return self.data[::-1] if self._is_backwards else self.data


class Page(PageOf[T]):
    """One page. Iterating goes on through all following pages, fetching them as needed."""

    def __init__(
        self, page: ListPage[T], options: Mapping[str, Any], fetch: Callable[[Mapping[str, Any]], Page[T]]
    ) -> None:
        super().__init__(page, options)
        self._fetch = fetch

    def next_page(self) -> Page[T] | None:
        """Fetch the next page; ``None`` when this is the last."""
        options = self.next_options()
        return None if options is None else self._fetch(options)

    def pages(self) -> Iterator[Page[T]]:
        """Iterate over this page and all that follow."""
        page: Page[T] | None = self
        while page is not None:
            yield page
            page = page.next_page()

    def all_pages(self) -> Iterator[T]:
        """Iterate over the objects of this page and of all that follow."""
        for page in self.pages():
            yield from page._in_walking_order()

    __iter__ = all_pages


class AsyncPage(PageOf[T]):
    """One page, for ``async for``. Iterating goes on through all following pages, fetching them as needed."""

    def __init__(
        self,
        page: ListPage[T],
        options: Mapping[str, Any],
        fetch: Callable[[Mapping[str, Any]], Awaitable[AsyncPage[T]]],
    ) -> None:
        super().__init__(page, options)
        self._fetch = fetch

    async def next_page(self) -> AsyncPage[T] | None:
        """Fetch the next page; ``None`` when this is the last."""
        options = self.next_options()
        return None if options is None else await self._fetch(options)

    async def pages(self) -> AsyncIterator[AsyncPage[T]]:
        """Iterate over this page and all that follow."""
        page: AsyncPage[T] | None = self
        while page is not None:
            yield page
            page = await page.next_page()

    async def all_pages(self) -> AsyncIterator[T]:
        """Iterate over the objects of this page and of all that follow."""
        async for page in self.pages():
            for each in page._in_walking_order():
                yield each

    __aiter__ = all_pages
