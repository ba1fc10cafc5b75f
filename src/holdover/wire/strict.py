"""Strict decoding of requests, and the hosted API's own words for what is wrong with one.

A request is parsed once and converted once into its record, at C speed. Only when that fails is the record's type
walked beside the value, to say which part is at fault and how: the limits are declared once, on the records.
The client decodes its callers' options with the same function before it sends them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from . import refusals
from .assistants import CreateAssistant, ModifyAssistant
from .files import PURPOSES
from .ids import PREFIXES
from .messages import CreateMessage, ImageFilePart, MessageQuery
from .pages import PageQuery
from .refusals import Refused
from .runs import CreateRun, CreateThreadAndRun, SubmitToolOutputs
from .threads import CreateThread, ModifyThread
from .tools import CodeInterpreterResources, NewToolResources, ToolResources
from .uploads import CompleteUpload
from .vector_stores import (
    ChunkingStrategy,
    CreateFileBatch,
    CreateVectorStore,
    CreateVectorStoreFile,
    StaticChunking,
)

T = TypeVar("T")

#: Deeper JSON than this is refused; no schema that a model can follow comes near it.
MAX_DEPTH = 128

_INTEGER = re.compile(r"-?[0-9]{1,19}\Z")


# ------------------------------------------------------------------------------------------------- JSON


def parse_json(body: bytes) -> Any:
    """Parse a JSON body: UTF-8, no duplicate keys, no NaN, no infinity, no lone surrogate, bounded depth.

    Raises:
        Refused: The body is none of that.
    """
    try:
        text = body.decode("utf-8")
        value = _decoder.decode(text)
        if "\\u" in text:
            _refuse_surrogates(value, text)
    except RecursionError:
        raise refusals.nested_too_deeply(MAX_DEPTH) from None
    except Refused:
        raise
    except ValueError:
        raise refusals.invalid_json() from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth_exceeds(value, MAX_DEPTH):
        raise refusals.nested_too_deeply(MAX_DEPTH)
    if "\\u0000" in text:
        _refuse_nul(value, "")
    return value


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("duplicate key")
    return result


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError("number out of range")
    return number


def _no_constant(name: str) -> Any:
    raise ValueError(name)


_decoder = json.JSONDecoder(
    object_pairs_hook=_object_without_duplicates, parse_float=_finite, parse_constant=_no_constant
)


def _refuse_surrogates(value: Any, text: str) -> None:
    if "\\ud" in text or "\\uD" in text:
        # An unpaired half of a character has no UTF-8 form: it could not be stored nor sent back.
        json.dumps(value, ensure_ascii=False).encode("utf-8")


def _depth_exceeds(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit + 1):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def _refuse_nul(value: Any, path: str) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise refusals.nul_character(path)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            _refuse_nul(each, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, each in value.items():
            _refuse_nul(key, path)
            _refuse_nul(each, _join(path, key))


# ------------------------------------------------------------------------------------------- decoding


def decode_body(body: bytes, record: type[T]) -> T:
    """Decode a request body strictly; an empty body is ``{}``.

    Raises:
        Refused: With the hosted text, ``param`` and ``code`` of the first fault found.
    """
    return from_plain(parse_json(body) if body else {}, record)


def decode_query(pairs: list[tuple[str, str]], record: type[T]) -> T:
    """Decode the parameters of a query string strictly.

    Raises:
        Refused: A parameter is unknown, repeated or out of its range.
    """
    plain: dict[str, Any] = {}
    kind: Any = record
    integers = _fields_of_kind(kind, "IntType")
    lists, objects = _fields_of_kind(kind, "ListType"), _fields_of_kind(kind, "DictType")
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            raise refusals.nul_character(name.replace("\0", ""))
        base, bracket, key = name.removesuffix("]").partition("[") if name.endswith("]") else (name, "", "")
        if base in lists and not key:  # include=… and include[]=…, once or more often
            plain.setdefault(base, []).append(value)
        elif base in objects and bracket and key not in plain.setdefault(base, {}):  # metadata[key]=…
            plain[base][key] = value
        elif name in plain or (base in objects and bracket):
            raise refusals.repeated_parameter(name)
        else:
            plain[name] = int(value) if name in integers and _INTEGER.match(value) else value
    return from_plain(plain, record)


def from_plain(plain: Any, record: type[T]) -> T:
    """Convert plain JSON data strictly into a request record.

    Raises:
        Refused: With the hosted text, ``param`` and ``code`` of the first fault found.
    """
    try:
        value = msgspec.convert(plain, record)
    except msgspec.ValidationError as error:
        _explain_record(record, plain)
        raise Refused(str(error)) from None  # the walk found nothing: say what the decoder said
    # Requests have no defaults to fill in, so a record that does not give back what was sent has dropped a key.
    if msgspec.to_builtins(value) != plain:
        _explain_record(record, plain)
    check = _RULES.get(record)
    if check is not None:
        check(value)
    return value


@cache
def _type_of(record: Any) -> Any:
    import msgspec.inspect

    return msgspec.inspect.type_info(record)


@cache
def _fields_of_kind(record: Any, kind: str) -> frozenset[str]:
    return frozenset(field.encode_name for field in _type_of(record).fields if type(field.type).__name__ == kind)


# ----------------------------------------------------------------------------------------- explaining

_KIND_NAMES: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    list: "an array",
    dict: "an object",
    type(None): "null",
}

_TYPE_KINDS: dict[str, tuple[str, tuple[type, ...]]] = {
    # The checker's node: the words for it, and the Python types that JSON gives for it.
    "StrType": ("a string", (str,)),
    "LiteralType": ("a string", (str,)),
    "BoolType": ("a boolean", (bool,)),
    "IntType": ("an integer", (int,)),
    "FloatType": ("a decimal", (float, int)),
    "ListType": ("an array", (list,)),
    "DictType": ("an object", (dict,)),
    "StructType": ("an object", (dict,)),
    "NoneType": ("null", (type(None),)),
    "AnyType": ("any value", (object,)),
}


def _explain_record(record: Any, plain: Any) -> None:
    _explain(_type_of(record), plain, "")


def _explain(node: Any, value: Any, path: str) -> None:
    """Raise `Refused` for the first place where ``value`` is not what ``node`` describes."""
    members = node.types if type(node).__name__ == "UnionType" else (node,)
    fitting = [each for each in members if _is_kind(each, value)]
    if not fitting:
        raise refusals.invalid_type(path, _expected(members), _KIND_NAMES[type(value)])
    if len(fitting) > 1:
        # Of kinds that are not objects, only a whole number fits two: it is taken for an integer.
        fitting = [_tagged_member(fitting, value, path)] if isinstance(value, dict) else fitting[:1]
    _EXPLAINERS.get(type(fitting[0]).__name__, _accept)(fitting[0], value, path)


def _is_kind(node: Any, value: Any) -> bool:
    kinds = _TYPE_KINDS[type(node).__name__][1]
    if isinstance(value, bool):
        return bool in kinds or object in kinds
    return isinstance(value, kinds)


def _expected(members: Any) -> str:
    names = list(dict.fromkeys(_expected_one(each) for each in members if type(each).__name__ != "NoneType"))
    return names[0] if len(names) == 1 else f"one of {', '.join(names[:-1])} or {names[-1]}"


def _expected_one(node: Any) -> str:
    words = _TYPE_KINDS[type(node).__name__][0]
    if type(node).__name__ == "ListType":
        inner = node.item_type.types[0] if type(node.item_type).__name__ == "UnionType" else node.item_type
        return f"an array of {_TYPE_KINDS[type(inner).__name__][0].split()[-1]}s"
    return words


def _tagged_member(members: list[Any], value: dict[str, Any], path: str) -> Any:
    field = members[0].tag_field
    tag_path = _join(path, field)
    if field not in value:
        raise refusals.missing_parameter(tag_path)
    tag = value[field]
    if not isinstance(tag, str):
        raise refusals.invalid_type(tag_path, "a string", _KIND_NAMES[type(tag)])
    for member in members:
        if member.tag == tag:
            return member
    raise refusals.invalid_value(tag_path, tag, [member.tag for member in members])


def _explain_struct(node: Any, value: dict[str, Any], path: str) -> None:
    fields = {field.encode_name: field for field in node.fields}
    for key, each in value.items():
        if key == node.tag_field:
            _tagged_member([node], value, path)
        elif key in fields:
            _explain(fields[key].type, each, _join(path, key))
        else:
            raise refusals.unknown_parameter(_join(path, key))
    if node.tag_field is not None and node.tag_field not in value:
        raise refusals.missing_parameter(_join(path, node.tag_field))
    for name, field in fields.items():
        if field.required and name not in value:
            raise refusals.missing_parameter(_join(path, name))


def _explain_string(node: Any, value: str, path: str) -> None:
    if node.min_length is not None and len(value) < node.min_length:
        raise refusals.string_too_short(path, node.min_length, len(value))
    if node.max_length is not None and len(value) > node.max_length:
        raise refusals.string_too_long(path, node.max_length, len(value))
    if node.pattern is not None and not re.search(node.pattern, value):
        raise refusals.string_off_pattern(path, node.pattern.replace(r"(?!\n)", ""))


#: Members whose wrong values the hosted API told of in other words, and in an order that is not the alphabet's.
_IN_OTHER_WORDS: dict[str, Callable[[str, str, Any], Refused]] = {
    "purpose": lambda path, value, _: refusals.no_such_purpose(path, value, PURPOSES)
}


def _explain_literal(node: Any, value: str, path: str) -> None:
    if value not in node.values:
        raise _IN_OTHER_WORDS.get(path, refusals.invalid_value)(path, value, node.values)


def _explain_number(node: Any, value: float, path: str) -> None:
    kind: Literal["integer", "decimal"] = "integer" if type(node).__name__ == "IntType" else "decimal"
    if node.ge is not None and not value >= node.ge:  # said so that NaN is refused, too
        raise refusals.number_out_of_range(path, kind, above=False, limit=node.ge, got=value)
    if node.le is not None and not value <= node.le:
        raise refusals.number_out_of_range(path, kind, above=True, limit=node.le, got=value)
    if value > sys.float_info.max:  # an integer that no decimal can hold
        raise refusals.number_out_of_range(path, kind, above=True, limit=sys.float_info.max, got=value)


def _explain_list(node: Any, value: list[Any], path: str) -> None:
    if node.min_length is not None and not value:  # no list of this wire needs more than one item
        raise refusals.array_empty(path, node.min_length)
    if node.max_length is not None and len(value) > node.max_length:
        raise refusals.array_too_long(path, node.max_length, len(value))
    for index, each in enumerate(value):
        _explain(node.item_type, each, f"{path}[{index}]")


def _explain_dict(node: Any, value: dict[str, Any], path: str) -> None:
    if node.max_length is not None and len(value) > node.max_length:
        raise refusals.too_many_properties(path, node.max_length, len(value))
    longest = getattr(node.key_type, "max_length", None)
    for key, each in value.items():
        if longest is not None and len(key) > longest:
            raise refusals.property_name_too_long(path, key, longest)
        _explain(node.value_type, each, _join(path, key))


def _accept(node: Any, value: Any, path: str) -> None:
    return None


_EXPLAINERS: dict[str, Callable[[Any, Any, str], None]] = {
    "StructType": _explain_struct,
    "StrType": _explain_string,
    "LiteralType": _explain_literal,
    "IntType": _explain_number,
    "FloatType": _explain_number,
    "ListType": _explain_list,
    "DictType": _explain_dict,
}


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


# ---------------------------------------------------------------- rules that span more than one field


def _check_parts(body: CompleteUpload) -> None:
    _check_ids("part_ids", body.part_ids, "upload_part")
    if len(set(body.part_ids)) < len(body.part_ids):
        repeated = next(each for index, each in enumerate(body.part_ids) if each in body.part_ids[:index])
        raise refusals.repeated_parameter(f"part_ids[{body.part_ids.index(repeated)}]")


def _check_message_query(query: MessageQuery) -> None:
    if query.run_id is not UNSET:
        check_id("run_id", query.run_id, "run")


def _check_resources(body: CreateAssistant | ModifyAssistant | CreateThread | ModifyThread) -> None:
    if body.tool_resources:
        _check_tool_resources(body.tool_resources)


def _check_thread(body: CreateThread, path: str = "") -> None:
    _check_resources(body)
    for index, message in enumerate(body.messages or ()):
        _check_message(message, f"{path}messages[{index}].")


def _check_run(body: CreateRun | CreateThreadAndRun) -> None:
    check_id("assistant_id", body.assistant_id, "assistant")
    strategy = body.truncation_strategy
    if strategy and (strategy.type == "last_messages") is not bool(strategy.last_messages):
        if not strategy.last_messages:
            raise refusals.missing_parameter("truncation_strategy.last_messages")
        raise refusals.unknown_parameter("truncation_strategy.last_messages")
    if isinstance(body, CreateRun):
        for index, message in enumerate(body.additional_messages or ()):
            _check_message(message, f"additional_messages[{index}].")
        return
    if body.thread:
        _check_thread(body.thread, "thread.")
    if body.tool_resources:
        _check_tool_resources(body.tool_resources)


def _check_outputs(body: SubmitToolOutputs) -> None:
    seen = set()
    for index, each in enumerate(body.tool_outputs):
        if each.tool_call_id in seen:
            raise refusals.repeated_parameter(f"tool_outputs[{index}].tool_call_id")
        seen.add(each.tool_call_id)


def _check_message(body: CreateMessage, path: str = "") -> None:
    if not isinstance(body.content, str):
        for index, part in enumerate(body.content):
            if isinstance(part, ImageFilePart):
                check_id(f"{path}content[{index}].image_file.file_id", part.image_file.file_id, "file")
    for index, attachment in enumerate(body.attachments or ()):
        check_id(f"{path}attachments[{index}].file_id", attachment.file_id, "file")


def _check_tool_resources(resources: NewToolResources | ToolResources) -> None:
    interpreter, search = resources.code_interpreter, resources.file_search
    if isinstance(interpreter, CodeInterpreterResources) and interpreter.file_ids:
        _check_ids("tool_resources.code_interpreter.file_ids", interpreter.file_ids, "file")
    if not search:
        return
    path = "tool_resources.file_search"
    if search.vector_store_ids:
        _check_ids(f"{path}.vector_store_ids", search.vector_store_ids, "vector_store")
    stores = getattr(search, "vector_stores", UNSET)
    if not stores:
        return
    if search.vector_store_ids:
        raise refusals.mutually_exclusive(path, ("vector_store_ids", "vector_stores"))
    for index, store in enumerate(stores):
        if store.file_ids:
            _check_ids(f"{path}.vector_stores[{index}].file_ids", store.file_ids, "file")
        _check_chunking(store.chunking_strategy, f"{path}.vector_stores[{index}].")


def _check_chunking(strategy: ChunkingStrategy | None | UnsetType, path: str = "") -> None:
    if not isinstance(strategy, StaticChunking):
        return
    sizes = strategy.static
    most = sizes.max_chunk_size_tokens // 2
    if sizes.chunk_overlap_tokens > most:
        path = f"{path}chunking_strategy.static.chunk_overlap_tokens"
        raise refusals.number_out_of_range(path, "integer", above=True, limit=most, got=sizes.chunk_overlap_tokens)


def _check_vector_store(body: CreateVectorStore) -> None:
    _check_ids("file_ids", body.file_ids or [], "file")
    _check_chunking(body.chunking_strategy)


def _check_vector_store_file(body: CreateVectorStoreFile, path: str = "") -> None:
    check_id(f"{path}file_id", body.file_id, "file")
    _check_chunking(body.chunking_strategy, path)


def _check_file_batch(body: CreateFileBatch) -> None:
    if body.file_ids and body.files:
        raise refusals.mutually_exclusive("", ("file_ids", "files"))
    if not body.file_ids and not body.files:
        raise refusals.missing_parameter("file_ids")
    _check_ids("file_ids", body.file_ids or [], "file")
    _check_chunking(body.chunking_strategy)
    for index, each in enumerate(body.files or ()):
        _check_vector_store_file(each, f"files[{index}].")


def _check_ids(path: str, ids: list[str], kind: str) -> None:
    for index, each in enumerate(ids):
        check_id(f"{path}[{index}]", each, kind)


def check_id(path: str, value: str, kind: str) -> None:
    """Refuse an id that does not begin as ids of this kind do.

    Raises:
        Refused: It begins otherwise.
    """
    if not value.startswith(PREFIXES[kind].rstrip("_-")):
        raise refusals.invalid_id(path, value, PREFIXES[kind])


_RULES: dict[Any, Any] = {
    CreateAssistant: _check_resources,
    ModifyAssistant: _check_resources,
    CreateThread: _check_thread,
    ModifyThread: _check_resources,
    CreateMessage: _check_message,
    MessageQuery: _check_message_query,
    CreateRun: _check_run,
    CreateThreadAndRun: _check_run,
    SubmitToolOutputs: _check_outputs,
    CreateVectorStore: _check_vector_store,
    CreateVectorStoreFile: _check_vector_store_file,
    CreateFileBatch: _check_file_batch,
    CompleteUpload: _check_parts,
}

__all__ = ["PageQuery", "Refused", "check_id", "decode_body", "decode_query", "from_plain", "parse_json"]
