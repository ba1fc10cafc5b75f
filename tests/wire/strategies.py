"""Hypothesis strategies made from the records' own types: valid JSON data, with the limits that the types declare."""

from __future__ import annotations

import json
from typing import Any

import msgspec.inspect
from hypothesis import settings
from hypothesis import strategies as st

from holdover.wire.ids import PREFIXES

#: Enough to find a fault, few enough to be run with every change; a failure prints how to repeat it.
quick = settings(deadline=None, max_examples=40, print_blob=True)

#: The longest text that is made; `test_limits` tries the limits that are above it.
LONGEST = 4096

characters = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
text = st.text(characters, max_size=12)
finite = st.floats(allow_nan=False, allow_infinity=False)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(text, json_values, max_size=3)

_ids = {"file_ids": "file", "vector_store_ids": "vector_store", "part_ids": "upload_part"}
_id = {"file_id": "file", "assistant_id": "assistant"}


def plain(record: Any) -> st.SearchStrategy[Any]:
    """Return JSON data that is a valid ``record``, for instance a request's body."""
    return _of(msgspec.inspect.type_info(record)).filter(_keeps_the_rules)


def _keeps_the_rules(data: Any) -> bool:
    """Whether data keeps the rules that span more than one field."""
    if isinstance(data, list):
        return all(map(_keeps_the_rules, data))
    if not isinstance(data, dict):
        return True
    if data.get("vector_store_ids") and data.get("vector_stores"):
        return False
    if "last_messages" in data and (data["type"] == "last_messages") is (data["last_messages"] is None):
        return False
    if data.get("type") == "last_messages" and "last_messages" not in data:
        return False
    match data:
        case {"tool_outputs": [{"tool_call_id": _}, *_] as outputs}:
            if len(outputs) != len({each["tool_call_id"] for each in outputs}):
                return False
    return all(map(_keeps_the_rules, data.values()))


def _of(node: Any) -> st.SearchStrategy[Any]:
    return globals()[f"_{type(node).__name__}"](node)


def _StructType(node: Any) -> st.SearchStrategy[Any]:
    """Return data of a record, which may hold others of its own kind, as filters do."""
    if node.cls not in _defined:
        _defined[node.cls] = st.deferred(lambda: _struct(node))
    return _defined[node.cls]


_defined: dict[type, st.SearchStrategy[Any]] = {}


def _struct(node: Any) -> st.SearchStrategy[Any]:
    if node.cls.__name__ == "ChunkSizes":
        return st.integers(100, 4096).flatmap(
            lambda size: st.fixed_dictionaries(
                {"max_chunk_size_tokens": st.just(size), "chunk_overlap_tokens": st.integers(0, size // 2)}
            )
        )
    required = {field.encode_name: _field(field) for field in node.fields if field.required}
    optional = {field.encode_name: _field(field) for field in node.fields if not field.required}
    if node.tag is not None:
        required[node.tag_field] = st.just(node.tag)
    if node.cls.__name__ == "CreateFileBatch":  # it names its files in one way
        ways = [{name: optional.pop(name)} for name in ("file_ids", "files")]
        return st.one_of(*(st.fixed_dictionaries(required | way, optional=optional) for way in ways))
    return st.fixed_dictionaries(required, optional=optional)


def _field(field: Any) -> st.SearchStrategy[Any]:
    if field.encode_name in _id and not _takes_null(field.type):
        return text.map(lambda rest: PREFIXES[_id[field.encode_name]] + rest)
    if field.encode_name in _ids:
        least = getattr(field.type, "min_length", None) or 0
        ids = st.lists(text.map(lambda rest: PREFIXES[_ids[field.encode_name]] + rest), min_size=least, max_size=1)
        return ids | st.none() if _takes_null(field.type) else ids
    if field.encode_name == "md5":
        return st.sampled_from([None, "0123456789abcdefABCDEF0123456789"])
    return _of(field.type)


def _takes_null(node: Any) -> bool:
    return isinstance(node, msgspec.inspect.UnionType) and node.includes_none


def _UnionType(node: Any) -> st.SearchStrategy[Any]:
    return st.one_of(*(_of(each) for each in node.types if type(each).__name__ != "UnsetType"))


def _StrType(node: Any) -> st.SearchStrategy[Any]:
    if node.pattern is not None:
        return st.from_regex(r"\A[a-zA-Z0-9_-]{1,64}\Z")
    low, high = node.min_length or 0, node.max_length
    return st.text(characters, min_size=low, max_size=min(high or 12, 12)) | st.just("x" * min(high or 12, LONGEST))


def _IntType(node: Any) -> st.SearchStrategy[Any]:
    return st.integers(-(2**53) if node.ge is None else node.ge, 2**53 if node.le is None else node.le)


def _FloatType(node: Any) -> st.SearchStrategy[Any]:
    return st.floats(node.ge, node.le, allow_nan=False, allow_infinity=False)


def _ListType(node: Any) -> st.SearchStrategy[Any]:
    return st.lists(_of(node.item_type), min_size=node.min_length or 0, max_size=min(node.max_length or 2, 2))


def _DictType(node: Any) -> st.SearchStrategy[Any]:
    if type(node.value_type).__name__ == "AnyType":
        return json_objects
    return st.dictionaries(_of(node.key_type), _of(node.value_type), max_size=3)


def _BoolType(node: Any) -> st.SearchStrategy[Any]:
    return st.booleans()


def _NoneType(node: Any) -> st.SearchStrategy[Any]:
    return st.none()


def _LiteralType(node: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(node.values)


def encoded(data: Any) -> bytes:
    """Return data as a client would send it."""
    return json.dumps(data, ensure_ascii=False).encode()
