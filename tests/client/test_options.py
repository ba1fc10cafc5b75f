"""Options: what is not one, and what is refused before anything is sent."""

from __future__ import annotations

import math
import string
from collections import UserList
from collections.abc import Callable
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import holdover
from holdover.wire.operations import BY_NAME
from holdover.wire.refusals import Refused
from holdover.wire.strict import decode_body

from .faces import Face
from .scripted import Scripted, answer

Ask = Callable[[Any], Any]


def create(**options: Any) -> Ask:
    return lambda client: client.create_assistant("gpt-4o", **options)


def modify(**options: Any) -> Ask:
    return lambda client: client.modify_assistant("asst_1", **options)


def listed(**options: Any) -> Ask:
    return lambda client: client.list_assistants(**options)


class Model(StrEnum):
    """An application's own names of models."""

    BEST = "gpt-4o"


def function(**definition: Any) -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": {"name": "f", **definition}}]}


# ------------------------------------------------------------------------------------ options that are none

SLIPS: list[tuple[Ask, str]] = [
    (create(instruction="…"), "create_assistant() takes no option 'instruction'; did you mean 'instructions'?"),
    (create(toolresources={}), "create_assistant() takes no option 'toolresources'; did you mean 'tool_resources'?"),
    (create(api_key="k"), "create_assistant() takes no option 'api_key'; did you mean 'openai_api_key'?"),
    (create(timeout=3), "create_assistant() takes no option 'timeout'; did you mean 'timeout_s'?"),
    (create(streamto=print), "create_assistant() takes no option 'streamto'; did you mean 'stream_to'?"),
    (modify(temprature=1), "modify_assistant() takes no option 'temprature'; did you mean 'temperature'?"),
    (listed(ordr="asc"), "list_assistants() takes no option 'ordr'; did you mean 'order'?"),
    (
        lambda client: client.get_assistant("asst_1", limit=3),
        "get_assistant() takes no option 'limit'; it takes: base_url, openai_api_key, openai_organization_key, "
        "timeout_s.",
    ),
    (
        lambda client: client.delete_assistant("asst_1", stream_to=print),
        "delete_assistant() takes no option 'stream_to'; it takes: base_url, openai_api_key, "
        "openai_organization_key, timeout_s.",
    ),
    (lambda client: client.list_models(base_ulr="x"), "list_models() takes no option 'base_ulr'; did you mean"),
]


@pytest.mark.parametrize(("ask", "said"), SLIPS, ids=[said.partition(";")[0] for _, said in SLIPS])
def test_an_option_that_does_not_exist_is_an_error_that_names_the_nearest(face: Face, ask: Ask, said: str) -> None:
    script = Scripted()
    with pytest.raises(holdover.UnknownOptionError) as caught:
        ask(face.client(script))
    assert str(caught.value).startswith(said)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, holdover.HoldoverError)
    assert script.requests == []


def test_a_required_argument_is_positional_and_no_option(face: Face) -> None:
    client = face.client(Scripted())
    with pytest.raises(TypeError, match="model"):
        client.create_assistant()
    with pytest.raises(TypeError, match="model"):
        client.create_assistant("gpt-4o", model="gpt-4o")
    with pytest.raises(TypeError):
        client.create_assistant("gpt-4o", "Tutor")


def test_an_option_left_at_unset_is_not_sent(face: Face) -> None:
    script = Scripted()
    client = face.client(script)
    unset: Any = holdover.UNSET
    client.create_assistant("gpt-4o", name=unset, tools=unset, openai_api_key=None)
    client.modify_assistant("asst_1", model=unset)
    assert [each.body for each in script.requests] == [b'{"model":"gpt-4o"}', b"{}"]


def test_none_is_sent_as_null(face: Face) -> None:
    script = Scripted()
    face.client(script).modify_assistant("asst_1", name=None, metadata=None)
    assert msgspec.json.decode(script.last.body or b"") == {"name": None, "metadata": None}


def test_a_list_option_that_is_none_is_not_sent(face: Face) -> None:
    page = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    script = Scripted(answer(page))
    client = face.client(script)
    client.list_assistants(after=None, before=None, limit=None, order=None)
    client.list_assistants(after="asst_a", before="asst_b", limit=7, order="asc")
    assert script.sent == [
        "GET /v1/assistants",
        "GET /v1/assistants?after=asst_a&before=asst_b&limit=7&order=asc",
    ]


@pytest.mark.parametrize(
    "tools",
    [
        ({"type": "code_interpreter"},),
        UserList([{"type": "code_interpreter"}]),
        [MappingProxyType({"type": "code_interpreter"})],
    ],
    ids=["tuple", "sequence", "mapping"],
)
def test_any_sequence_any_mapping_and_any_name_of_an_enumeration_will_do(face: Face, tools: Any) -> None:
    script = Scripted()
    face.client(script).create_assistant(Model.BEST, tools=tools, metadata=MappingProxyType({"a": "b"}))
    body = msgspec.json.decode(script.last.body or b"")
    assert body == {"model": "gpt-4o", "tools": [{"type": "code_interpreter"}], "metadata": {"a": "b"}}


# --------------------------------------------------------------------------- refused before anything is sent

#: What is asked, the part at fault and the code, as the service itself would say.
LIMITS: list[tuple[Ask, str, str]] = [
    (lambda client: client.create_assistant(""), "model", "string_below_min_length"),
    (lambda client: client.create_assistant("m" * 257), "model", "string_above_max_length"),
    (lambda client: client.create_assistant(None), "model", "invalid_type"),
    (create(name="n" * 257), "name", "string_above_max_length"),
    (create(description="d" * 513), "description", "string_above_max_length"),
    (create(instructions="i" * 256_001), "instructions", "string_above_max_length"),
    (create(temperature=2.1), "temperature", "decimal_above_max_value"),
    (create(temperature=-1), "temperature", "decimal_below_min_value"),
    (create(temperature=math.nan), "temperature", "invalid_type"),
    (create(temperature=math.inf), "temperature", "invalid_type"),
    (create(temperature=10**400), "temperature", "decimal_above_max_value"),
    (create(temperature="1"), "temperature", "invalid_type"),
    (create(temperature=True), "temperature", "invalid_type"),
    (create(top_p=1.01), "top_p", "decimal_above_max_value"),
    (create(reasoning_effort="huge"), "reasoning_effort", "invalid_value"),
    (create(response_format="json"), "response_format", "invalid_value"),
    (create(response_format={"type": "xml"}), "response_format.type", "invalid_value"),
    (create(response_format={"type": "json_schema"}), "response_format.json_schema", "missing_required_parameter"),
    (create(metadata={str(n): "" for n in range(17)}), "metadata", "object_above_max_properties"),
    (create(metadata={"k" * 65: ""}), "metadata", "string_above_max_length"),
    (create(metadata={"k": "v" * 513}), "metadata.k", "string_above_max_length"),
    (create(metadata={"k": 1}), "metadata.k", "invalid_type"),
    (create(metadata=[]), "metadata", "invalid_type"),
    (create(tools=[{"type": "code_interpreter"}] * 129), "tools", "array_above_max_length"),
    (create(tools=[{"type": "retrieval"}]), "tools[0].type", "invalid_value"),
    (create(tools=[{}]), "tools[0].type", "missing_required_parameter"),
    (create(tools=None), "tools", "invalid_type"),
    (create(tools="code_interpreter"), "tools", "invalid_type"),
    (create(**function(name="a b")), "tools[0].function.name", "invalid_value"),
    (create(**function(description="d" * 1025)), "tools[0].function.description", "string_above_max_length"),
    (create(**function(arguments={})), "tools[0].function.arguments", "unknown_parameter"),
    (create(**function(parameters={"minimum": math.nan})), "tools[0].function.parameters.minimum", "invalid_type"),
    (create(**function(parameters={"enum": [1, -math.inf]})), "tools[0].function.parameters.enum[1]", "invalid_type"),
    (
        create(tool_resources={"code_interpreter": {"file_ids": ["file-x"] * 21}}),
        "tool_resources.code_interpreter.file_ids",
        "array_above_max_length",
    ),
    (
        create(tool_resources={"code_interpreter": {"file_ids": ["vs_x"]}}),
        "tool_resources.code_interpreter.file_ids[0]",
        "invalid_value",
    ),
    (
        create(tool_resources={"file_search": {"vector_store_ids": ["vs_a", "vs_b"]}}),
        "tool_resources.file_search.vector_store_ids",
        "array_above_max_length",
    ),
    (
        create(tool_resources={"file_search": {"vector_store_ids": ["vs_a"], "vector_stores": [{}]}}),
        "tool_resources.file_search",
        "mutually_exclusive_parameters",
    ),
    (
        modify(tool_resources={"file_search": {"vector_stores": [{}]}}),
        "tool_resources.file_search.vector_stores",
        "unknown_parameter",
    ),
    (modify(model=None), "model", "invalid_type"),
    (listed(limit=0), "limit", "integer_below_min_value"),
    (listed(limit=101), "limit", "integer_above_max_value"),
    (listed(limit=2**70), "limit", "integer_above_max_value"),
    (listed(limit="5"), "limit", "invalid_type"),
    (listed(limit=True), "limit", "invalid_type"),
    (listed(limit=2.5), "limit", "invalid_type"),
    (listed(order="newest"), "order", "invalid_value"),
    (listed(after="thread_x"), "after", "invalid_value"),
    (listed(before=""), "before", "invalid_value"),
    (lambda client: client.get_assistant(""), "assistant_id", "invalid_value"),
    (lambda client: client.get_assistant(None), "assistant_id", "invalid_type"),
    (lambda client: client.retrieve_model(""), "model", "invalid_type"),
    (lambda client: client.delete_model(".."), "model", "invalid_type"),
]


@pytest.mark.parametrize(("ask", "param", "code"), LIMITS, ids=[f"{code}-{param}" for _, param, code in LIMITS])
def test_what_the_service_would_refuse_is_not_sent(face: Face, ask: Ask, param: str, code: str) -> None:
    script = Scripted()
    with pytest.raises(holdover.BadRequestError) as caught:
        ask(face.client(script))
    assert (caught.value.param, caught.value.code) == (param, code)
    assert (caught.value.status, caught.value.type) == (400, "invalid_request_error")
    assert script.requests == []


def test_values_at_their_limits_are_sent(face: Face) -> None:
    script = Scripted()
    face.client(script).create_assistant(
        "m" * 256,
        name="n" * 256,
        description="d" * 512,
        instructions="i" * 256_000,
        temperature=2,
        top_p=0,
        metadata={f"{number:064}": "v" * 512 for number in range(16)},
        tools=[{"type": "code_interpreter"}] * 128,
        tool_resources={"code_interpreter": {"file_ids": ["file-x"] * 20}},
    )
    assert len(script.requests) == 1


HALVES = ["\ud800", "a\udfff", "\udc80\ud800"]


@pytest.mark.parametrize("half", HALVES, ids=ascii)
@pytest.mark.parametrize(
    "ask",
    [
        lambda client, half: client.create_assistant(half),
        lambda client, half: client.create_assistant("gpt-4o", name=half),
        lambda client, half: client.create_assistant("gpt-4o", metadata={half: ""}),
        lambda client, half: client.create_assistant("gpt-4o", reasoning_effort=half),
        lambda client, half: client.create_assistant("gpt-4o", tools=[{"type": half}]),
        lambda client, half: client.create_assistant("gpt-4o", **function(name=half)),
        lambda client, half: client.create_assistant("gpt-4o", **function(parameters={"enum": [half]})),
        lambda client, half: client.get_assistant(f"asst_{half}"),
        lambda client, half: client.list_assistants(after=f"asst_{half}"),
        lambda client, half: client.list_assistants(order=half),
        lambda client, half: client.retrieve_model(half),
    ],
    ids=["model", "name", "key", "literal", "tag", "pattern", "schema", "id", "cursor", "order", "path"],
)
def test_half_a_character_is_refused_before_sending(face: Face, ask: Any, half: str) -> None:
    script = Scripted()
    with pytest.raises(holdover.BadRequestError):
        ask(face.client(script), half)
    assert script.requests == []


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"a": schema}
    return schema


def endless() -> dict[str, Any]:
    schema: dict[str, Any] = {}
    schema["a"] = [schema]
    return schema


@pytest.mark.parametrize("schema", [nested(5_000), endless()], ids=["deep", "endless"])
def test_nesting_beyond_measure_is_refused_before_sending(face: Face, schema: dict[str, Any]) -> None:
    script = Scripted()
    with pytest.raises(holdover.BadRequestError, match="nested"):
        face.client(script).create_assistant("gpt-4o", **function(parameters=schema))
    assert script.requests == []


@pytest.mark.parametrize("value", [object(), {1: "x"}, b"bytes", holdover.UNSET, print], ids=lambda v: type(v).__name__)
def test_a_value_that_json_does_not_have_is_refused_before_sending(face: Face, value: Any) -> None:
    script = Scripted()
    client = face.client(script)
    with pytest.raises(holdover.BadRequestError, match=r"^Invalid type for 'metadata"):
        client.create_assistant("gpt-4o", metadata={"a": value} if not isinstance(value, dict) else value)
    with pytest.raises(holdover.BadRequestError, match=r"^Invalid type for 'model'"):
        client.create_assistant(value)
    assert script.requests == []


@pytest.mark.parametrize(
    ("given", "noun"),
    [
        ("thread_abc123", "thread"),
        ("msg_abc123", "message"),
        ("run_abc123", "run"),
        ("step_abc123", "run step"),
        ("file-abc123", "file"),
        ("vs_abc123", "vector store"),
    ],
)
def test_the_id_of_something_else_is_refused_with_what_it_is(face: Face, given: str, noun: str) -> None:
    script = Scripted()
    with pytest.raises(holdover.BadRequestError) as caught:
        face.client(script).get_assistant(given)
    said = f"Invalid 'assistant_id': '{given}'. Expected an ID that begins with 'asst'. It is the id of a {noun}."
    assert str(caught.value) == said
    assert (caught.value.param, caught.value.code) == ("assistant_id", "invalid_value")
    assert script.requests == []


# ------------------------------------------------------------------- client and service say the same of options

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-3, 200) | st.floats(-1, 3) | TEXT
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
)
TOOLS = st.lists(
    st.one_of(
        JSON,
        st.fixed_dictionaries({"type": st.sampled_from(["code_interpreter", "file_search", "function", "x"])}),
        st.fixed_dictionaries(
            {"type": st.just("function")},
            optional={
                "function": st.fixed_dictionaries(
                    {"name": st.text(string.ascii_letters + " ", max_size=5)},
                    optional={"parameters": JSON, "strict": JSON, "description": JSON},
                )
            },
        ),
    ),
    max_size=3,
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "name": JSON,
        "temperature": JSON,
        "top_p": st.floats(allow_nan=False, allow_infinity=False),
        "metadata": JSON | st.dictionaries(TEXT, TEXT, max_size=20),
        "tools": TOOLS | JSON,
        "tool_resources": JSON,
        "response_format": JSON | st.sampled_from(["auto", "text"]),
        "reasoning_effort": st.sampled_from(["low", "x"]) | JSON,
    },
)


@given(body=BODIES)
@settings(max_examples=150, deadline=None)
def test_the_client_refuses_exactly_what_the_service_refuses_in_the_same_words(body: dict[str, Any]) -> None:
    script = Scripted()
    try:
        holdover.Client(transport=script).modify_assistant("asst_1", **body)
        said = None
    except holdover.BadRequestError as error:
        said = (error.message, error.param, error.code)
    try:
        decode_body(msgspec.json.encode(body), BY_NAME["modify_assistant"].body)
        expected = None
    except Refused as refused:
        expected = (refused.message, refused.param, refused.code)
    assert said == expected
    assert len(script.requests) == (said is None)
