"""Sends the content of a file as it is: whole or a range of it, in blocks, as fast as the client takes them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from holdover.engine.objects import FileContent
from holdover.errors import APIStatusError, InternalServerError

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

_RANGE = re.compile(rb"bytes=(\d{0,18})-(\d{0,18})\Z")
_PLAIN = re.compile(r"[A-Za-z0-9 ._()+-]+\Z")


class Range(msgspec.Struct, frozen=True):
    """Which bytes are sent, from ``start`` up to and without ``end``; ``is_part`` if they are not all."""

    start: int
    end: int
    is_part: bool = False


class RangeNotSatisfiable(APIStatusError):
    """A range begins where a file has ended."""

    default_status = 416

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"The file has {size_bytes} bytes; the range begins behind them.", param="Range")
        self.size_bytes = size_bytes


def range_of(headers: Mapping[bytes, bytes], size_bytes: int) -> Range:
    """Return which bytes a request asks for: all, unless it asks for one range that can be read (RFC 9110, 14.2).

    Raises:
        RangeNotSatisfiable: It begins behind the end.
    """
    asked = _RANGE.match(headers.get(b"range", b""))
    if asked is None or asked[0] == b"bytes=-":
        return Range(0, size_bytes)
    if not asked[1]:  # so many from the end
        start, end = max(0, size_bytes - int(asked[2])), size_bytes
    else:
        start, end = int(asked[1]), min(int(asked[2] or size_bytes) + 1, size_bytes)
        if asked[2] and int(asked[2]) < start:
            return Range(0, size_bytes)
    if start >= size_bytes or start == end:
        raise RangeNotSatisfiable(size_bytes)
    return Range(start, end, is_part=True)


def content_headers(content: FileContent, chosen: Range) -> list[tuple[bytes, bytes]]:
    """Return the headers that tell of a file's content; nothing of its name reaches them as it is."""
    headers = [
        (b"content-type", b"application/octet-stream"),
        (b"content-disposition", _disposition(content.filename)),
        (b"content-length", b"%d" % (chosen.end - chosen.start)),
        (b"accept-ranges", b"bytes"),
    ]
    if chosen.is_part:
        headers.append((b"content-range", b"bytes %d-%d/%d" % (chosen.start, chosen.end - 1, content.size_bytes)))
    return headers


def _disposition(filename: str) -> bytes:
    if _PLAIN.match(filename):
        return f'attachment; filename="{filename}"'.encode()
    return f"attachment; filename*=UTF-8''{quote(filename, safe='')}".encode()


async def send_content(
    content: FileContent,
    chosen: Range,
    start: Mapping[str, Any],
    receive: Receive,
    send: Send,
    *,
    has_body: bool,
) -> None:
    """Send an answer, until its end or until nobody is there to take it.

    Raises:
        InternalServerError: The bytes cannot be read; nothing was sent. If that happens later, the connection is
            closed in the middle of the answer.
    """
    blocks = content.read(chosen.start, chosen.end)
    leaving = asyncio.ensure_future(_wait_for_end(receive))
    try:
        block = await anext(blocks, b"") if has_body else b""
        await send(start)
        while block and not leaving.done():
            await send({"type": "http.response.body", "body": block, "more_body": True})
            try:
                block = await anext(blocks, b"")
            except InternalServerError:
                return  # it was told of where it happened
        await send({"type": "http.response.body", "body": b""})
    finally:
        leaving.cancel()
        await blocks.aclose()  # type: ignore[attr-defined]


async def _wait_for_end(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
