"""Options become a call: names are checked, limits are checked, and nothing is sent that would be refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar, cast

import msgspec
from msgspec import UNSET

from holdover.errors import BadRequestError, UnknownOptionError
from holdover.wire import ids
from holdover.wire.operations import BY_NAME, Operation
from holdover.wire.refusals import Refused, invalid_json, invalid_type
from holdover.wire.strict import check_id, from_plain

from .exchange import Call

T = TypeVar("T")

#: Options that every call takes, and the fields of a call that they set.
CALL_OPTIONS: dict[str, str] = {
    "openai_api_key": "api_key",
    "openai_organization_key": "organization_key",
    "base_url": "base_url",
    "timeout_s": "timeout_s",
}


def call(
    name: str, *arguments: str, reply: type[T], options: Mapping[str, Any], given: Mapping[str, Any] | None = None
) -> Call[T]:
    """Return the call of an operation.

    Args:
        name: The operation's name.
        arguments: What stands in its path.
        reply: The record it answers with.
        options: What the caller passed by name.
        given: Members of the body that were passed by position.

    Raises:
        UnknownOptionError: The operation takes no such option.
        BadRequestError: An option is outside its limits, or an id is of another kind.
    """
    operation = BY_NAME[name]
    fields: dict[str, Any] = {}
    content = dict(given or {})
    for option, value in options.items():
        if option in CALL_OPTIONS:
            if value is not None:
                fields[CALL_OPTIONS[option]] = value
        elif option in _options_of(operation) and option not in (given or {}):
            if value is not UNSET:
                content[option] = value
        else:
            raise _unknown_option(operation, option)
    try:
        path = _path(operation, arguments)
        if operation.query is not None:
            path += _query(operation, content)
        body = None if operation.body is None else _body(operation, content)
    except Refused as refused:
        raise BadRequestError(refused.message, param=refused.param, code=refused.code) from None
    return Call(
        method=operation.method,
        path=path,
        body=body,
        decode=_decoder(cast(Any, reply)),
        creates=operation.creates,
        ended=operation.ended,
        **fields,
    )


@cache
def _decoder(reply: Any) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(reply).decode


@cache
def _options_of(operation: Operation) -> frozenset[str]:
    record = operation.body or operation.query
    return frozenset(record.__struct_fields__) if record is not None else frozenset()


def _unknown_option(operation: Operation, option: str) -> UnknownOptionError:
    from difflib import get_close_matches

    known = sorted({*_options_of(operation), *CALL_OPTIONS})
    nearest = get_close_matches(option, known, n=1, cutoff=0.5)
    hint = f"did you mean '{nearest[0]}'?" if nearest else f"it takes: {', '.join(known)}."
    return UnknownOptionError(f"{operation.name}() takes no option '{option}'; {hint}")


def _path(operation: Operation, arguments: tuple[str, ...]) -> str:
    path = operation.path
    for name, value in zip(operation.arguments, arguments, strict=True):
        if not isinstance(value, str):
            raise invalid_type(name, "a string", f"{type(value).__name__}")
        if operation.kind is not None:
            _check_id(name, value)
        elif not value:
            raise invalid_type(name, "a string", "an empty one")
        path = path.replace(f"{{{name}}}", _quoted(value))
    return path


def _check_id(name: str, value: str) -> None:
    kind = name.removesuffix("_id")
    try:
        check_id(name, value, kind)
    except Refused as refused:
        actual = ids.kind_of(value)
        hint = f" It is the id of a {ids.NOUNS[actual]}." if actual else ""
        raise Refused(refused.message + hint, param=refused.param, code=refused.code) from None


def _quoted(value: str) -> str:
    if value.isascii() and value.replace("_", "").replace("-", "").isalnum():
        return value
    from urllib.parse import quote

    return quote(value, safe="")


def _query(operation: Operation, content: Mapping[str, Any]) -> str:
    plain = {name: value for name, value in content.items() if value is not None}  # a query cannot say null
    query = from_plain(plain, operation.query)
    for name in ("after", "before"):
        if isinstance(cursor := getattr(query, name, None), str) and operation.kind is not None:
            check_id(name, cursor, operation.kind)
    return "?" + "&".join(f"{name}={_quoted(str(value))}" for name, value in plain.items()) if plain else ""


def _body(operation: Operation, content: Mapping[str, Any]) -> bytes:
    plain = msgspec.to_builtins(content)
    try:
        body = msgspec.json.encode(from_plain(plain, operation.body))
    except UnicodeEncodeError:
        raise invalid_json() from None  # half of a surrogate pair has no form that can be sent
    if b"null" in body:
        _refuse_not_finite(plain, "")  # JSON has no such number, and null would mean something else
    return body


def _refuse_not_finite(value: Any, path: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise invalid_type(path, "a finite number", str(value))
    if isinstance(value, dict):
        for key, each in value.items():
            _refuse_not_finite(each, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            _refuse_not_finite(each, f"{path}[{index}]")
