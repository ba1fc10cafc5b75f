"""Forms (``multipart/form-data``) as they come: text is gathered, bytes are handed on while they arrive.

The parser is `python_multipart`'s. Here is what surrounds it: limits, and the refusal of what is not whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from holdover.errors import BadRequestError
from holdover.wire.forms import file_name
from holdover.wire.refusals import repeated_parameter, shortened, string_too_long, unreadable_form

T = TypeVar("T")

#: Fields of a form, and bytes of a field's text.
MAX_FIELDS = 64
MAX_TEXT_BYTES = 64 * 1024
#: What a form may have beside the bytes of its file.
OVERHEAD_BYTES = 1024 * 1024
#: A field's head: the name of a file takes most of it.
MAX_HEADER_BYTES = 16 * 1024

#: Takes what a file is called and its bytes as they come, and says what became of them.
Take = Callable[[str | None, AsyncIterator[bytes]], Awaitable[T]]


class Form(msgspec.Struct, Generic[T], frozen=True):
    """A form: its text fields in their order, and what was made of the bytes, ``None`` if there were none."""

    fields: list[tuple[str, str]]
    file: T | None


class _Head(msgspec.Struct, frozen=True):
    """Where a field begins: its name, and what it is called if it is a file."""

    name: str
    filename: str | None


class _End:
    """Where a field ends."""


def boundary_of(content_type: bytes) -> bytes:
    """Return what separates the fields of a form.

    Raises:
        BadRequestError: The content type is that of no form.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        shown = content_type[:200].decode("ascii", "replace")
        raise BadRequestError(
            f"Unsupported content type: '{shown}'. This API method only accepts 'multipart/form-data' requests. Please "
            "try again with a supported content type.",
            code="unsupported_content_type",
        )
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 200:
        raise unreadable_form()
    return boundary


async def read_form(body: AsyncIterator[bytes], boundary: bytes, file_field: str, take: Take[T]) -> Form[T]:
    """Read a form whose field ``file_field`` holds bytes; its fields may come in any order.

    Raises:
        Refused: It is not whole, or a field is too long, or the bytes are given twice.
    """
    reader = _Reader(body, boundary)
    fields: list[tuple[str, str]] = []
    file: T | None = None
    while (head := await reader.next_head()) is not None:
        if len(fields) == MAX_FIELDS:
            raise unreadable_form()
        if head.name == file_field:
            if file is not None:
                raise repeated_parameter(file_field)
            file = await take(head.filename, reader.content())
        else:
            fields.append((head.name, await _text(head.name, reader.content())))
    return Form(fields, file)


async def _text(name: str, content: AsyncIterator[bytes]) -> str:
    parts: list[bytes] = []
    size = 0
    async for part in content:
        size += len(part)
        if size > MAX_TEXT_BYTES:
            raise string_too_long(shortened(name), MAX_TEXT_BYTES, size)
        parts.append(part)
    try:
        return b"".join(parts).decode("utf-8")
    except UnicodeDecodeError:
        raise unreadable_form() from None


class _Reader:
    """Feeds the parser as much as is asked for, and keeps what it said until that is taken."""

    def __init__(self, body: AsyncIterator[bytes], boundary: bytes) -> None:
        self._body = body
        self._said: deque[_Head | bytes | type[_End]] = deque()
        self._is_complete = False
        self._header: list[bytes] = []
        self._value: list[bytes] = []
        self._disposition = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_header_field": lambda data, start, end: self._header.append(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.append(data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_field,
                "on_part_data": lambda data, start, end: self._said.append(data[start:end]),
                "on_part_end": lambda: self._said.append(_End),
                "on_end": self._end,
            },
            max_header_size=MAX_HEADER_BYTES,
        )

    async def next_head(self) -> _Head | None:
        """Return where the next field begins, ``None`` at the end of the form; a field is read whole before that."""
        while (said := await self._next()) is not None:
            if isinstance(said, _Head):
                return said
        return None

    async def content(self) -> AsyncIterator[bytes]:
        """Give the bytes of the field whose head was read last."""
        while isinstance(said := await self._next(), bytes):
            yield said

    async def _next(self) -> _Head | bytes | type[_End] | None:
        while not self._said:
            data = await anext(self._body, None)
            if data is None:
                if not self._is_complete:
                    raise unreadable_form()
                return None
            if not self._is_complete:  # what comes behind the end is of no meaning
                try:
                    self._parser.write(data)
                except FormParserError:
                    raise unreadable_form() from None
        return self._said.popleft()

    # What the parser calls

    def _end_header(self) -> None:
        if b"".join(self._header).lower() == b"content-disposition":
            self._disposition = b"".join(self._value)
        self._header.clear()
        self._value.clear()

    def _begin_field(self) -> None:
        kind, options = parse_options_header(self._disposition)
        name = options.get(b"name")
        if kind != b"form-data" or name is None:
            raise FormParserError("a field without a name")
        plain = options.get(b"filename")
        disposition, self._disposition = self._disposition.decode("latin-1"), b""
        filename = file_name(disposition, None if plain is None else plain.decode("latin-1"))
        self._said.append(_Head(name.decode("utf-8", "replace"), filename))

    def _end(self) -> None:
        self._is_complete = True
