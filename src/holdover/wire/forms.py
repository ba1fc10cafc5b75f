"""Forms (``multipart/form-data``) as records: their fields, and what a file is called. Reading bytes is the server's.

Source: RFC 7578, and the WHATWG HTML standard for what browsers and most clients send; RFC 5987 and RFC 2047 for what
others do.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, TypeVar, cast
from urllib.parse import unquote_to_bytes

import msgspec

from . import refusals
from .strict import from_plain, parse_json

T = TypeVar("T")

_INTEGER = re.compile(r"-?[0-9]{1,19}\Z")
_EXTENDED = re.compile(r"""(?i)\bfilename\*\s*=\s*"?([\w-]+)'[^']*'([^";\s]*)""")
_ENCODED_WORD = re.compile(r"=\?[\w-]+\?[bBqQ]\?[^?]*\?=")
#: What is escaped in names between quotes, and nothing else: a percent sign stands for itself.
_ESCAPES = {"%22": '"', "%0D": "\r", "%0A": "\n", "%0d": "\r", "%0a": "\n"}
_ESCAPED = re.compile("|".join(_ESCAPES))


def decode_form(pairs: list[tuple[str, str]], record: type[T]) -> T:
    """Decode the text fields of a form strictly; ``name[key]`` is a member of ``name``, which may be JSON as well.

    Raises:
        Refused: With the hosted text, ``param`` and ``code`` of the first fault found.
    """
    plain: dict[str, Any] = {}
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            raise refusals.nul_character(name.replace("\0", ""))
        base, bracket, key = name.removesuffix("]").partition("[") if name.endswith("]") else (name, "", "")
        members = plain.setdefault(base, {}) if bracket else plain
        if not isinstance(members, dict) or (key or base) in members:
            raise refusals.repeated_parameter(name)
        members[key or base] = value
    return from_plain(_numbered(plain, _node(cast(Any, record))), record)


@cache
def _node(record: Any) -> Any:
    import msgspec.inspect

    return msgspec.inspect.type_info(record)


def _numbered(plain: dict[str, Any], node: Any) -> dict[str, Any]:
    """Return fields with numbers in place of their digits, where numbers are wanted: a form has text only."""
    types = {field.encode_name: field.type for field in node.fields}
    return {name: _number(value, types.get(name)) for name, value in plain.items()}


def _number(value: Any, node: Any) -> Any:
    if isinstance(node, msgspec.inspect.UnionType):
        node = next((each for each in node.types if not isinstance(each, msgspec.inspect.NoneType)), None)
    if isinstance(node, msgspec.inspect.StructType):
        if isinstance(value, str):
            return parse_json(value.encode()) if value.startswith("{") else value
        return _numbered(value, node)
    if isinstance(node, msgspec.inspect.IntType) and isinstance(value, str) and _INTEGER.match(value):
        return int(value)
    return value


def file_name(disposition: str, plain: str | None) -> str | None:
    """Return what a file is called: a label, whatever it looks like.

    Args:
        disposition: The whole Content-Disposition header, its bytes as Latin-1.
        plain: Its parameter ``filename``, unquoted, its bytes as Latin-1; ``None`` where there is none.

    Returns:
        The name in ``filename*`` (RFC 5987) where there is one that can be read, or that in ``filename``: in UTF-8, or
        in Latin-1 where it is not that, or in an encoded word (RFC 2047), as some clients send it.
    """
    extended = _EXTENDED.search(disposition)
    if extended is not None:
        try:
            return unquote_to_bytes(extended[2]).decode(extended[1])
        except (LookupError, UnicodeDecodeError):
            pass
    if plain is None:
        return None
    try:
        name = plain.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        name = plain
    if _ENCODED_WORD.fullmatch(name):
        return _decoded_word(name)
    return _ESCAPED.sub(lambda match: _ESCAPES[match[0]], name)


def _decoded_word(name: str) -> str:
    from email.errors import HeaderParseError
    from email.header import decode_header, make_header

    try:
        return str(make_header(decode_header(name)))
    except (HeaderParseError, LookupError, ValueError):
        return name
