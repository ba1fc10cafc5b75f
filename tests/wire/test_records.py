"""Properties of all records: what goes in comes out, nothing is dropped, and nothing but a refusal is raised."""

from __future__ import annotations

from typing import Any

import msgspec
import msgspec.inspect
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdover.wire.operations import OPERATIONS
from holdover.wire.record import UNSET, Record
from holdover.wire.refusals import Refused
from holdover.wire.strict import decode_body, from_plain
from holdover.wire.vector_stores import VectorStore

from .strategies import encoded, json_values, plain, quick, text

REQUESTS = list(dict.fromkeys(each.body for each in OPERATIONS if each.body is not None))
REPLIES = [*dict.fromkeys(each.reply for each in OPERATIONS if each.reply is not bytes), VectorStore]
NAMES = {record: getattr(record, "__name__", str(record)) for record in [*REQUESTS, *REPLIES]}

requests = pytest.mark.parametrize("record", REQUESTS, ids=NAMES.get)
replies = pytest.mark.parametrize("record", REPLIES, ids=NAMES.get)


@requests
@given(data=st.data())
@quick
def test_a_valid_body_becomes_a_record_that_gives_it_back(record: Any, data: st.DataObject) -> None:
    body = data.draw(plain(record))
    decoded = decode_body(encoded(body), record)
    assert msgspec.to_builtins(decoded) == body
    assert decoded.to_dict() == body
    assert decode_body(msgspec.json.encode(decoded), record) == decoded


@replies
@given(data=st.data())
@quick
def test_decoding_a_reply_is_the_inverse_of_encoding_it(record: Any, data: st.DataObject) -> None:
    reply = msgspec.convert(data.draw(plain(record)), record)
    again = msgspec.json.decode(msgspec.json.encode(reply), type=record)
    assert again == reply
    assert msgspec.json.encode(again) == msgspec.json.encode(reply)


@replies
@given(data=st.data())
@quick
def test_keys_that_a_newer_service_adds_are_ignored(record: Any, data: st.DataObject) -> None:
    reply = data.draw(plain(record))
    assert msgspec.convert({**reply, "from_a_newer_service": 1}, record) == msgspec.convert(reply, record)


@requests
@given(data=st.data())
@quick
def test_no_key_is_dropped_in_silence(record: Any, data: st.DataObject) -> None:
    body = data.draw(plain(record))
    path, place = data.draw(st.sampled_from(list(_objects(msgspec.inspect.type_info(record), body, ""))))
    place["not_of_this_wire"] = data.draw(json_values)
    with pytest.raises(Refused) as refused:
        from_plain(body, record)
    assert (refused.value.param, refused.value.code) == (f"{path}not_of_this_wire", "unknown_parameter")


def _objects(node: Any, value: Any, path: str) -> Any:
    """Yield each object of a body that is a record, with the path of what is in it."""
    if isinstance(node, msgspec.inspect.UnionType):
        for each in node.types:
            if not isinstance(each, msgspec.inspect.StructType) or _is_this(each, value):
                yield from _objects(each, value, path)
    elif isinstance(node, msgspec.inspect.StructType) and isinstance(value, dict):
        yield path, value
        for field in node.fields:
            if field.encode_name in value:
                yield from _objects(field.type, value[field.encode_name], f"{path}{field.encode_name}.")
    elif isinstance(node, msgspec.inspect.ListType) and isinstance(value, list):
        for index, each in enumerate(value):
            yield from _objects(node.item_type, each, f"{path[:-1]}[{index}].")


def _is_this(node: Any, value: Any) -> bool:
    return isinstance(value, dict) and (node.tag is None or value.get(node.tag_field) == node.tag)


@requests
@given(data=st.data())
@quick
def test_whatever_is_put_in_a_body_it_is_taken_or_refused(record: Any, data: st.DataObject) -> None:
    body = data.draw(plain(record))
    places = list(_places(body)) or [(body, "model")]
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(json_values)
    try:
        decoded = from_plain(body, record)
    except Refused as refused:
        # That nothing else is raised is the point; what a file is for is told in words that came without a code.
        assert refused.code is not None or refused.param == "purpose"  # noqa: PT017
    else:
        assert msgspec.to_builtins(decoded) == body


def _places(value: Any) -> Any:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield value, key
        yield from _places(each)


@given(st.dictionaries(text, json_values, max_size=4) | json_values)
@quick
def test_whatever_the_body_it_is_taken_or_refused(body: Any) -> None:
    for record in REQUESTS:
        try:
            from_plain(body, record)
        except Refused as refused:
            assert refused.code is not None or refused.param == "purpose"  # noqa: PT017


@pytest.mark.parametrize("record", [*REQUESTS, *REPLIES], ids=NAMES.get)
def test_every_record_is_one_of_ours_and_immutable(record: Any) -> None:
    cls = getattr(record, "__origin__", record)
    assert issubclass(cls, Record)
    assert cls.__struct_config__.frozen
    assert cls.__doc__


@requests
def test_a_field_of_a_request_is_required_or_absent_unless_sent(record: Any) -> None:
    """No request has defaults: a default would be sent, or would be taken for what the caller said."""
    for field in msgspec.structs.fields(record):
        assert field.required or field.default is UNSET, field.name
