"""What can be typed for an option: text and JSON, also from a file (``@path``) or from standard input (``@-``)."""

from __future__ import annotations

import os
import sys
from typing import Any, ClassVar

import click
import msgspec

_KINDS: dict[type, str] = {dict: "An object", list: "An array"}


def read(value: str) -> bytes:
    """Return what a value stands for: the content of the file after ``@``, or itself; ``@@`` begins it with ``@``.

    Raises:
        ValueError: The file cannot be read.
    """
    if value.startswith("@@"):
        return value[1:].encode()
    if not value.startswith("@"):
        return value.encode()
    if value == "@-":
        return read_stdin()
    path = os.path.expanduser(value[1:])
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"'{path}' cannot be read: {reason}.") from error


def read_stdin() -> bytes:
    """Return all of standard input; nothing where there is none."""
    return b"" if sys.stdin is None else sys.stdin.buffer.read()


class Bytes(click.ParamType[Any]):
    """Anything, as it is."""

    name = "TEXT|@FILE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Text(Bytes):
    """UTF-8 text."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx).decode("utf-8-sig")
        except UnicodeDecodeError:
            self.fail("This is not UTF-8 text.", param, ctx)


class JSON(Bytes):
    """A JSON document of one kind: an object (``dict``) or an array (``list``); or one of these names."""

    name = "JSON|@FILE"

    def __init__(self, kind: type, names: tuple[str, ...] = ()) -> None:
        self._kind = kind
        self._names = names

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value in self._names:
            return value
        try:
            document = msgspec.json.decode(super().convert(value, param, ctx))
        except ValueError as error:
            self.fail(f"This is not JSON: {error}.", param, ctx)
        if not isinstance(document, self._kind):
            self.fail(f"{_KINDS[self._kind]} of JSON is expected.", param, ctx)
        return document


class ResponseFormat(JSON):
    """A response format by its name, or as JSON."""

    _named: ClassVar[dict[str, Any]] = {
        "auto": "auto",
        "text": {"type": "text"},
        "json_object": {"type": "json_object"},
    }

    def __init__(self) -> None:
        super().__init__(dict)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value in self._named:
            return self._named[value]
        if not value.startswith(("@", "{")):
            self.fail(f"'{value}' is none of {', '.join(self._named)}, JSON or @FILE.", param, ctx)
        return super().convert(value, param, ctx)


class Pair(click.ParamType[tuple[str, str]]):
    """A key and its value, ``KEY=VALUE``."""

    name = "KEY=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        key, separator, text = value.partition("=")
        if not separator or not key:
            self.fail(f"'{value}' is not KEY=VALUE.", param, ctx)
        return key, text
