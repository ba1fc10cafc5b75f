"""What a body becomes and what a modification leaves: the echoes and defaults of the recorded exchanges, exactly."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.strategies import plain, quick

from holdover.engine.assistants import DEFAULTS, modified_assistant, new_assistant
from holdover.wire.assistants import Assistant, CreateAssistant, ModifyAssistant
from holdover.wire.record import UNSET
from holdover.wire.strict import from_plain
from holdover.wire.tools import FileSearchResources, NewToolResources, ToolResources

RANKING = {"ranker": "default_2024_08_21", "score_threshold": 0.0, "hybrid_search": None}


def created(vector_store_ids: list[str] | None = None, **fields: Any) -> Assistant:
    """The assistant of a body; ``vector_store_ids`` are what its file search has come to."""
    body = from_plain({"model": "gpt-4o", **fields}, CreateAssistant)
    given = body.tool_resources or NewToolResources()
    resources = ToolResources(
        code_interpreter=given.code_interpreter,
        file_search=FileSearchResources(vector_store_ids=vector_store_ids) if vector_store_ids else UNSET,
    )
    return new_assistant(body, id="asst_1", created_at=1761861537, resources=resources)


def modified(assistant: Assistant, **fields: Any) -> Assistant:
    return modified_assistant(assistant, from_plain(fields, ModifyAssistant))


def shown(assistant: Assistant) -> dict[str, Any]:
    """The assistant as it is sent."""
    result: dict[str, Any] = json.loads(msgspec.json.encode(assistant))
    return result


def echo(*tools: Any) -> Any:
    return shown(created(tools=list(tools)))["tools"]


# ------------------------------------------------------------------------------------------- creation


def test_an_assistant_of_a_model_alone_is_echoed_as_recorded() -> None:
    """Source: dotnet_assistants_BasicAssistantOperationsWork, key order included."""
    assert msgspec.json.encode(created()) == (
        b'{"id":"asst_1","object":"assistant","created_at":1761861537,"name":null,"description":null,'
        b'"model":"gpt-4o","instructions":null,"tools":[],"top_p":1.0,"temperature":1.0,"reasoning_effort":null,'
        b'"tool_resources":{},"metadata":{},"response_format":"auto"}'
    )


def test_null_is_echoed_as_the_default() -> None:
    nulls = dict.fromkeys([*DEFAULTS, "tool_resources"])
    assert created(**nulls) == created()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Tutor"),
        ("name", ""),
        ("description", "d"),
        ("instructions", "i"),
        ("temperature", 0.0),
        ("top_p", 0.0),
        ("reasoning_effort", "low"),
        ("metadata", {"k": ""}),
        ("response_format", {"type": "text"}),
        ("response_format", {"type": "json_object"}),
        ("response_format", {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": None}}),
        ("response_format", "auto"),
    ],
)
def test_what_is_given_is_echoed(field: str, value: Any) -> None:
    assert shown(created(**{field: value}))[field] == value


def test_an_integral_temperature_is_echoed_as_a_decimal() -> None:
    assert b'"top_p":1.0,"temperature":2.0' in msgspec.json.encode(created(temperature=2, top_p=1))


def test_the_code_interpreter_is_echoed_bare() -> None:
    assert echo({"type": "code_interpreter"}) == [{"type": "code_interpreter"}]


@pytest.mark.parametrize(
    "options",
    [None, {}, {"file_search": None}, {"file_search": {}}, {"file_search": {"ranking_options": None}}],
)
def test_file_search_is_echoed_with_its_ranking(options: Any) -> None:
    assert echo({"type": "file_search", **(options or {})}) == [
        {"type": "file_search", "file_search": {"ranking_options": RANKING}}
    ]


def test_file_search_is_echoed_with_what_was_chosen() -> None:
    hybrid = {"embedding_weight": 0.0, "text_weight": 1.0}
    chosen = {"ranker": "auto", "score_threshold": 0.5, "hybrid_search": hybrid}
    tool = {"type": "file_search", "file_search": {"max_num_results": 5, "ranking_options": chosen}}
    assert json.dumps(echo(tool)) == json.dumps([tool])
    assert echo({"type": "file_search", "file_search": {"max_num_results": None}}) == [
        {"type": "file_search", "file_search": {"ranking_options": RANKING}}
    ]


def test_a_function_is_echoed_with_its_defaults_in_the_recorded_order() -> None:
    """Source: dotnet_assistants_StreamingToolCall, FunctionToolsWork."""
    assert json.dumps(echo({"type": "function", "function": {"name": "f"}})) == json.dumps(
        [{"type": "function", "function": {
            "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": False}}]
    )  # fmt: skip
    schema = {"type": "object", "properties": {"x": {"type": "string"}}}
    assert json.dumps(
        echo({"type": "function", "function": {"strict": True, "parameters": schema, "description": "d", "name": "f"}})
    ) == json.dumps(
        [{"type": "function", "function": {"name": "f", "description": "d", "parameters": schema, "strict": True}}]
    )


@pytest.mark.parametrize("field", ["description", "parameters", "strict"])
def test_a_function_with_a_null_is_echoed_as_without(field: str) -> None:
    assert echo({"type": "function", "function": {"name": "f", field: None}}) == echo(
        {"type": "function", "function": {"name": "f"}}
    )


def test_tools_keep_their_order_and_may_repeat() -> None:
    tools = [{"type": "file_search"}, {"type": "code_interpreter"}, {"type": "file_search"}]
    assert [tool["type"] for tool in echo(*tools)] == ["file_search", "code_interpreter", "file_search"]


def test_resources_show_the_code_interpreter_as_soon_as_there_is_the_tool() -> None:
    assert shown(created())["tool_resources"] == {}
    assert shown(created(tools=[{"type": "file_search"}]))["tool_resources"] == {}
    assert shown(created(tools=[{"type": "code_interpreter"}]))["tool_resources"] == {
        "code_interpreter": {"file_ids": []}
    }


def test_resources_are_echoed_without_their_tool_too() -> None:
    given = {"code_interpreter": {"file_ids": ["file-1"]}}
    assert shown(created(tool_resources=given))["tool_resources"] == given
    assert shown(created(tool_resources={"code_interpreter": {"file_ids": []}}))["tool_resources"] == {}


def test_a_searched_store_is_echoed_by_its_id_however_it_came_to_be() -> None:
    expected = {"file_search": {"vector_store_ids": ["vs_1"]}}
    named = {"file_search": {"vector_store_ids": ["vs_1"]}}
    helper = {"file_search": {"vector_stores": [{"metadata": {"k": "v"}}]}}
    assert shown(created(["vs_1"], tool_resources=named))["tool_resources"] == expected
    assert shown(created(["vs_1"], tool_resources=helper))["tool_resources"] == expected
    assert shown(created(tool_resources={"file_search": {"vector_store_ids": []}}))["tool_resources"] == {}


# --------------------------------------------------------------------------------------- modification


FULL = created(
    ["vs_1"],
    name="n",
    description="d",
    instructions="i",
    temperature=0.5,
    top_p=0.25,
    reasoning_effort="low",
    metadata={"a": "1", "b": "2"},
    response_format={"type": "json_object"},
    tools=[{"type": "code_interpreter"}, {"type": "file_search"}],
    tool_resources={
        "code_interpreter": {"file_ids": ["file-1"]},
        "file_search": {"vector_store_ids": ["vs_1"]},
    },
)


def test_a_modification_of_nothing_changes_nothing() -> None:
    assert modified(FULL) == FULL
    assert modified(FULL, tool_resources={}) == FULL


@pytest.mark.parametrize("field", DEFAULTS)
def test_null_puts_a_field_back_to_its_default_and_touches_no_other(field: str) -> None:
    assert shown(modified(FULL, **{field: None})) == {**shown(FULL), field: DEFAULTS[field]}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", "gpt-4o-mini"),
        ("name", ""),
        ("temperature", 0.0),
        ("metadata", {}),
        ("metadata", {"c": "3"}),
        ("response_format", "auto"),
        ("tools", [{"type": "code_interpreter"}]),
    ],
)
def test_a_value_replaces_the_one_before_and_touches_no_other(field: str, value: Any) -> None:
    assert shown(modified(FULL, **{field: value})) == {**shown(FULL), field: value}


def test_id_and_time_of_creation_stay() -> None:
    changed = modified(FULL, model="m", name=None)
    assert (changed.id, changed.created_at) == (FULL.id, FULL.created_at)


def test_the_resources_of_a_tool_that_is_not_mentioned_stay() -> None:
    changed = modified(FULL, tool_resources={"code_interpreter": {"file_ids": ["file-2"]}})
    assert shown(changed)["tool_resources"] == {
        "code_interpreter": {"file_ids": ["file-2"]},
        "file_search": {"vector_store_ids": ["vs_1"]},
    }


def test_null_takes_resources_away() -> None:
    without_tools = modified(FULL, tools=[])
    assert shown(modified(without_tools, tool_resources=None))["tool_resources"] == {}
    assert shown(modified(without_tools, tool_resources={"file_search": None}))["tool_resources"] == {
        "code_interpreter": {"file_ids": ["file-1"]}
    }
    assert shown(modified(FULL, tool_resources=None))["tool_resources"] == {"code_interpreter": {"file_ids": []}}
    assert shown(modified(FULL, tool_resources={"code_interpreter": None}))["tool_resources"] == {
        "code_interpreter": {"file_ids": []},
        "file_search": {"vector_store_ids": ["vs_1"]},
    }


def test_an_empty_list_takes_resources_away() -> None:
    changed = modified(FULL, tool_resources={"file_search": {"vector_store_ids": []}})
    assert shown(changed)["tool_resources"] == {"code_interpreter": {"file_ids": ["file-1"]}}


def test_resources_of_a_tool_taken_away_stay() -> None:
    """They are the user's files: coming back to the tool finds them again."""
    assert shown(modified(FULL, tools=[]))["tool_resources"] == shown(FULL)["tool_resources"]


def test_the_interpreters_empty_list_comes_and_goes_with_the_tool() -> None:
    bare = created()
    with_tool = modified(bare, tools=[{"type": "code_interpreter"}])
    assert shown(with_tool)["tool_resources"] == {"code_interpreter": {"file_ids": []}}
    assert modified(with_tool, tools=[]) == bare


# ----------------------------------------------------------------------------------------- properties


@given(plain(CreateAssistant), plain(ModifyAssistant))
@quick
def test_what_is_stored_is_read_back_and_modified_as_it_was(body: Any, change: Any) -> None:
    assistant = created(**body)
    assert msgspec.json.decode(msgspec.json.encode(assistant), type=Assistant) == assistant
    once = modified(assistant, **change)
    assert modified(once, **change) == once, "a modification carried out twice is carried out once"
    assert modified(once) == once


@given(plain(CreateAssistant), st.sampled_from([*DEFAULTS, "model", "tools"]))
@quick
def test_modifying_to_what_was_asked_at_creation_changes_nothing(body: Any, field: str) -> None:
    assistant = created(**body)
    if field in body:
        assert modified(assistant, **{field: body[field]}) == assistant


@given(plain(CreateAssistant))
@quick
def test_every_key_of_an_assistant_is_always_sent(body: Any) -> None:
    assert list(shown(created(**body))) == list(Assistant.__struct_fields__)
