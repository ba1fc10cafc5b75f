"""Server-sent events as bytes: what a stream is cut into, wherever the network cut it before. No I/O.

Source: the event stream format of the HTML standard, as far as APIs use it: ``event``, ``data``, ``id`` and comments;
lines may end in LF or CRLF.
"""

from __future__ import annotations

import re

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

    __slots__ = ("_bytes", "_held")

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._bytes = 0

    @property
    def is_between_events(self) -> bool:
        """Whether all that came was whole events."""
        return not self._held

    def feed(self, data: bytes) -> list[ServerEvent]:
        """Take what came; return the events that are whole now.

        Raises:
            TooLong: What came has no end of an event within `LIMIT_BYTES`.
        """
        if not self._held and _is_one_line_of_data(data):
            return [ServerEvent("", data[6:-2])]
        if self._held:
            self._held.append(data)
            self._bytes += len(data)
            if b"\n" not in data and b"\r" not in data:  # a long line is joined once, when its end has come
                self._check()
                return []
            data = b"".join(self._held)
        if b"\r" in data:
            # A CR at the very end may be half of a CRLF.
            held = data.endswith(b"\r")
            data = data[: len(data) - held].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + (b"\r" if held else b"")
        whole = data.rfind(b"\n\n") + 2 if b"\n\n" in data else 0
        rest = data[whole:] if whole else data
        if rest:
            self._held = [rest]
            self._bytes = len(rest)
            self._check()
        elif self._held:
            self._held = []
            self._bytes = 0
        events = []
        for name, content, lines in _BLOCKS(data, 0, whole):
            if not lines:
                events.append(ServerEvent(name.decode("utf-8", "replace"), content))
            elif (event := _event(lines)) is not None:
                events.append(event)
        return events

    def end(self) -> list[ServerEvent]:
        """Return what is left when the stream ends: some services leave out the last blank line."""
        rest = b"".join(self._held).replace(b"\r", b"\n")
        self._held = []
        event = _event(rest) if rest else None
        return [] if event is None else [event]

    def _check(self) -> None:
        if self._bytes > LIMIT_BYTES:
            raise TooLong(f"no end of an event within {LIMIT_BYTES:,} bytes")


def _is_one_line_of_data(data: bytes) -> bool:
    """Whether this is one whole event without a name, as a model's tokens come, nearly all of them."""
    return (
        data.startswith(b"data: ") and data.find(b"\n") == len(data) - 2 and data.endswith(b"\n") and b"\r" not in data
    )


#: Finds the name and the data of events as nearly all are, and of any other the lines.
_BLOCKS = re.compile(rb"(?:(?:event: ([^\n]*)\n)?data: ([^\n]*)|([^\n]+(?:\n[^\n]+)*))\n\n").findall


def _event(lines: bytes) -> ServerEvent | None:
    """Return the event of a block of lines, ``None`` for a comment."""
    name, data, id = b"", None, None
    for line in lines.split(b"\n"):
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
