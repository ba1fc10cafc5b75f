"""What counts as a JSON body, before anything is said about its fields."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdover.wire.assistants import CreateAssistant, ModifyAssistant
from holdover.wire.refusals import Refused
from holdover.wire.strict import MAX_DEPTH, decode_body, parse_json

from .refusing import create, taken, told
from .strategies import json_values, quick

NOT_JSON = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble "
    "figuring out how to fix this, please contact us through our help center at help.openai.com.)",
    None,
    None,
)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'model': 'm'}",
        b'{"model": "m",}',
        b'{"model": "m"} x',
        b'{"model": "m"}{"model": "m"}',
        b"model=m",
        b"\x00",
        b"\xff",
        b'{"model": "\xff"}',
        b'{"model": "\xc3"}',
        b'{"model": "\xc0\xaf"}',
        b'{"model": "\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"model": "m"}',
        '{"model": "m"}'.encode("utf-16"),
        '{"model": "m"}'.encode("utf-32-le"),
        b'{"model": "a\nb"}',
        b'{"model": "a\x00b"}',
        rb'{"model": "\x41"}',
        rb'{"model": "\ud800"}',
        rb'{"model": "\udc00\ud800"}',
        rb'{"model": "m", "metadata": {"\uDFFF": "v"}}',
        b'{"model": "m", "temperature": NaN}',
        b'{"model": "m", "temperature": Infinity}',
        b'{"model": "m", "temperature": -Infinity}',
        b'{"model": "m", "temperature": 1e999}',
        b'{"model": "m", "temperature": -1e999}',
        b'{"model": "m", "temperature": 01}',
        b'{"model": "m", "temperature": .5}',
        b'{"model": "m", "temperature": 0x1}',
        b'{"model": "m", "temperature": ' + b"1" * 5000 + b"}",
        b'{"model": "m", "model": "m"}',
        rb'{"model": "m", "\u006dodel": "n"}',
        b'{"model": "m", "metadata": {"k": "1", "k": "2"}}',
    ],
    ids=repr,
)
def test_a_body_that_is_not_json_is_refused_in_the_hosted_words(body: bytes) -> None:
    assert told(body) == NOT_JSON


@pytest.mark.parametrize("body", [b"[]", b"null", b'"m"', b"1", b"1.5", b"true"])
def test_a_body_that_is_no_object_is_of_the_wrong_type(body: bytes) -> None:
    message, param, code = told(body)
    assert message.startswith("Invalid type: expected an object, but got ")
    assert (param, code) == (None, "invalid_type")


def test_an_empty_body_is_an_empty_object() -> None:
    assert decode_body(b"", ModifyAssistant) == decode_body(b"{}", ModifyAssistant)
    assert told(b"") == ("Missing required parameter: 'model'.", "model", "missing_required_parameter")


def test_white_space_round_a_body_is_nothing() -> None:
    assert taken(b' \r\n\t{"model": "m"}\n ') == CreateAssistant(model="m")


def test_escaped_and_literal_characters_are_the_same() -> None:
    assert taken(rb'{"model": "\ud83d\ude42"}') == taken('{"model": "🙂"}'.encode())


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (create(model="a\0b"), "model"),
        (create(metadata={"k": "\0"}), "metadata.k"),
        (create(metadata={"a\0b": "v"}), "metadata"),
        (create(tools=[{"type": "function", "function": {"name": "f", "parameters": {"x": ["\0"]}}}]),
         "tools[0].function.parameters.x[0]"),
    ],
    ids=["value", "value in metadata", "key in metadata", "deep in a schema"],
)  # fmt: skip
def test_a_nul_character_is_refused_wherever_it_is(body: Any, path: str) -> None:
    assert told(body) == (
        f"Invalid '{path}': string contains a NUL character, which cannot be stored.",
        path,
        "invalid_value",
    )


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert taken(rb'{"model": "\\u0000"}').model == r"\u0000"


def nested(levels: int) -> bytes:
    """A body ``levels`` deep, the body itself being the first and ``parameters`` the fifth."""
    inside = levels - 5
    parameters = b'{"a":' * inside + b"{}" + b"}" * inside
    return b'{"model":"m","tools":[{"type":"function","function":{"name":"f","parameters":' + parameters + b"}}]}"


def test_a_schema_may_be_deep_but_not_bottomless() -> None:
    taken(nested(MAX_DEPTH))
    too_deep = (f"Invalid body: nested more than {MAX_DEPTH} levels deep.", None, "invalid_value")
    assert told(nested(MAX_DEPTH + 2)) == too_deep
    assert told(nested(100_000)) == too_deep
    assert told(b"[" * 1_000_000) == too_deep
    assert told(b'{"a":' * 1_000_000) == too_deep


def test_brackets_in_a_string_are_not_depth() -> None:
    assert taken(create(name="[{" * 128)).name == "[{" * 128


@given(json_values)
@quick
def test_parsing_is_the_inverse_of_encoding(value: Any) -> None:
    assert parse_json(json.dumps(value).encode()) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary(max_size=64) | st.text('[]{}",:\\u0d8e1-+.truefalsn ', max_size=64).map(str.encode))
@example(b'"\\ud800\\')
@example(b"-")
@quick
def test_whatever_the_bytes_they_are_parsed_or_refused(body: bytes) -> None:
    try:
        parse_json(body)
    except Refused as refused:
        assert refused.message  # noqa: PT017 - that nothing else is raised is the point
