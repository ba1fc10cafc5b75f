"""Options become a call: names are checked, limits are checked, and nothing is sent that would be refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast

import msgspec
from msgspec import UNSET

from holdover.errors import APIStatusError, BadRequestError, UnknownOptionError
from holdover.wire import ids
from holdover.wire.operations import BY_NAME, Operation
from holdover.wire.refusals import Refused, invalid_type, nested_too_deeply
from holdover.wire.strict import MAX_DEPTH, check_id, from_plain

from .exchange import Call
from .uploading import Form, FormOptions, Progress, Source

T = TypeVar("T")

#: Options that every call takes, and the fields of a call that they set.
CALL_OPTIONS: dict[str, str] = {
    "openai_api_key": "api_key",
    "openai_organization_key": "organization_key",
    "base_url": "base_url",
    "timeout_s": "timeout_s",
}
#: Options that say what becomes of a run's events; they are not sent.
OF_EVENTS = frozenset(("stream_to", "background", "functions", "on_function_error", "max_rounds"))


def call(
    name: str,
    *arguments: str,
    reply: type[T],
    options: Mapping[str, Any],
    given: Mapping[str, Any] | None = None,
    file: Source | None = None,
    on_progress: Progress | None = None,
) -> Call[T]:
    """Return the call of an operation.

    Args:
        name: The operation's name.
        arguments: What stands in its path.
        reply: The record it answers with.
        options: What the caller passed by name.
        given: Members of the body that were passed by position.
        file: What is sent in a form, of an operation that takes a file; ``on_progress`` is told how far it has got.

    Raises:
        APIStatusError: The file is too large.
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
            raise _unknown_option(operation, option, given or {})
    try:
        content = _plain(content, "")
        path = _path(operation, arguments)
        if operation.query is not None:
            path += _query(operation, content if operation.body is None else _taken_out(content, operation.query))
        body = None if operation.body is None else _body(operation, content, file, on_progress)
    except Refused as refused:
        raise BadRequestError(refused.message, param=refused.param, code=refused.code) from None
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise BadRequestError(
            f"A string holds {half!a}, half of a character, which has no form that can be sent.", code="invalid_value"
        ) from None
    return Call(
        method=operation.method,
        path=path,
        body=body,
        content_type=body.content_type if isinstance(body, Form) else "application/json",
        decode=_decoder(cast(Any, reply)),
        creates=operation.creates,
        ended=operation.ended,
        streams=operation.always_streams or content.get("stream") is True,
        **fields,
    )


def _body(
    operation: Operation, content: dict[str, Any], file: Source | None, on_progress: Progress | None
) -> bytes | Form:
    record = from_plain(content, operation.body)
    if operation.file is None:
        return msgspec.json.encode(record)
    assert file is not None
    if file.length > operation.file.limit_bytes:
        raise APIStatusError(
            f"The file is too large: it may have up to {operation.file.limit_bytes} bytes.",
            status=413,
            code="file_too_large",
        )
    pairs = [pair for name, value in content.items() for pair in _pairs(name, value)]
    return Form(pairs, operation.file.name, file, on_progress)


@cache
def _decoder(reply: Any) -> Callable[[bytes], Any]:
    return bytes if reply is bytes else msgspec.json.Decoder(reply).decode


@cache
def _options_of(operation: Operation) -> frozenset[str]:
    records = [record for record in (operation.query, operation.body) if record is not None]
    # Whether events are wanted is an argument of the method, which passes it on as a member of the body.
    return frozenset(name for record in records for name in record.__struct_fields__) - {"stream"}


def _unknown_option(operation: Operation, option: str, given: Mapping[str, Any]) -> UnknownOptionError:
    from difflib import get_close_matches

    options = _options_of(operation)
    asked = frozenset(["stream"] if operation.body is not None else [])
    of_events = OF_EVENTS | asked if operation.streams else frozenset(["stream_to"] if options else [])
    of_forms = FormOptions.__struct_fields__ if operation.file else ()
    known = sorted({*CALL_OPTIONS, *options.difference(given), *of_events, *of_forms})
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
        elif value in ("", ".", ".."):  # a path with dots in place of a name is another path
            raise invalid_type(name, "a name", f"'{value}'")
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
    pairs = [pair for name, value in plain.items() for pair in _pairs(name, value)]
    return "?" + "&".join(f"{name}={_quoted(value)}" for name, value in pairs) if pairs else ""


def _taken_out(content: dict[str, Any], record: Any) -> dict[str, Any]:
    """Take the members of a record out of what else goes into the body."""
    return {name: content.pop(name) for name in record.__struct_fields__ if name in content}


def _pairs(name: str, value: Any) -> list[tuple[str, str]]:
    """Return a parameter as it is sent: a list's items one by one, an object's members by their keys."""
    if isinstance(value, list):
        return [(f"{name}[]", str(each)) for each in value]
    if isinstance(value, dict):
        return [(f"{name}[{_quoted(key)}]", str(each)) for key, each in value.items()]
    return [(name, str(value))]


def _plain(value: Any, path: str, depth: int = 0) -> Any:
    """Return an option's value as JSON has it: of dictionaries, lists and scalars alone."""
    if depth > MAX_DEPTH:
        raise nested_too_deeply(MAX_DEPTH)
    match value:
        case Enum():
            return _plain(value.value, path, depth)
        case float() if not math.isfinite(value):
            raise invalid_type(path, "a finite number", str(value))
        case str() | int() | float() | None:
            return value
        case msgspec.Struct():
            return _plain(_members(value), path, depth)
        case Mapping():
            return {
                _key(key, path): _plain(each, f"{path}.{key}" if path else key, depth + 1)
                for key, each in value.items()
            }
        case Sequence() if not isinstance(value, bytes | bytearray | memoryview):
            return [_plain(each, f"{path}[{index}]", depth + 1) for index, each in enumerate(value)]
        case _:
            raise invalid_type(path, "a value that JSON has", type(value).__name__)


def _members(record: msgspec.Struct) -> dict[str, Any]:
    config = record.__struct_config__
    tag = {config.tag_field: config.tag} if config.tag_field else {}
    return tag | {name: each for name, each in msgspec.structs.asdict(record).items() if each is not UNSET}


def _key(key: Any, path: str) -> str:
    if not isinstance(key, str):
        raise invalid_type(path, "strings as keys", f"the key {key!r}")
    return key
