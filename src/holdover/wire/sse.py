"""Server-sent events as bytes: what a stream is cut into, wherever the network cut it before. No I/O.

Source: the event stream format of the HTML standard, as far as APIs use it: ``event``, ``data``, ``id`` and comments;
lines may end in LF or CRLF.
"""

from __future__ import annotations

import msgspec

#: An event longer than this is not one.
LIMIT_BYTES = 16 * 1024 * 1024


class ServerEvent(msgspec.Struct, frozen=True, gc=False):
    """One event: its name (empty where none was given), its data, and its id if it has one."""

    name: str
    data: bytes
    id: str | None = None


class TooLong(ValueError):
    """An event has no end."""


class Parser:
    """Takes bytes as they come and gives events as they are whole."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[ServerEvent]:
        """Take what came; return the events that are whole now.

        Raises:
            TooLong: What came has no end of an event within `LIMIT_BYTES`.
        """
        data = self._rest + data
        if b"\r" in data:
            # A CR at the very end may be half of a CRLF.
            held = data.endswith(b"\r")
            data = data[: len(data) - held].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + (b"\r" if held else b"")
        *blocks, self._rest = data.split(b"\n\n")
        if len(self._rest) > LIMIT_BYTES:
            raise TooLong
        return [event for block in blocks if (event := _event(block)) is not None]

    def end(self) -> list[ServerEvent]:
        """Return what is left when the stream ends: some services leave out the last blank line."""
        rest, self._rest = self._rest, b""
        event = _event(rest.replace(b"\r", b"\n")) if rest else None
        return [] if event is None else [event]


def _event(block: bytes) -> ServerEvent | None:
    """Return the event of a block of lines, ``None`` for a comment."""
    name, data, id = b"", None, None
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if field == b"data":
            data = value if data is None else data + b"\n" + value
        elif field == b"event":
            name = value
        elif field == b"id":
            id = value
    if data is None:
        return None
    return ServerEvent(name.decode("utf-8", "replace"), data, None if id is None else id.decode("utf-8", "replace"))
