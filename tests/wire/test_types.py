"""Keys and types: what is unknown, missing, null or of another type is refused, and the refusal says where."""

from __future__ import annotations

from typing import Any

import pytest

from holdover.wire.assistants import CreateAssistant, ModifyAssistant
from holdover.wire.record import UNSET

from .refusing import BOTH, create, taken, told

STORE = "tool_resources.file_search.vector_stores[0]"


def static(**sizes: Any) -> dict[str, Any]:
    return create(
        tool_resources={"file_search": {"vector_stores": [{"chunking_strategy": {"type": "static", "static": sizes}}]}}
    )


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (create(nmae="x"), "nmae"),
        (create(**{"": 1}), ""),
        (create(tools=[{"type": "code_interpreter", "x": 1}]), "tools[0].x"),
        (create(tools=[{"type": "code_interpreter"}, {"type": "file_search", "x": 1}]), "tools[1].x"),
        (create(tools=[{"type": "file_search", "file_search": {"x": 1}}]), "tools[0].file_search.x"),
        (
            create(tools=[{"type": "file_search", "file_search": {"ranking_options": {"score_threshold": 0, "x": 1}}}]),
            "tools[0].file_search.ranking_options.x",
        ),
        (create(tools=[{"type": "function", "function": {"name": "f", "x": 1}}]), "tools[0].function.x"),
        (create(response_format={"type": "text", "x": 1}), "response_format.x"),
        (create(response_format={"type": "json_object", "json_schema": {}}), "response_format.json_schema"),
        (
            create(response_format={"type": "json_schema", "json_schema": {"name": "n", "x": 1}}),
            "response_format.json_schema.x",
        ),
        (create(tool_resources={"x": {}}), "tool_resources.x"),
        (create(tool_resources={"code_interpreter": {"x": 1}}), "tool_resources.code_interpreter.x"),
        (create(tool_resources={"file_search": {"x": 1}}), "tool_resources.file_search.x"),
        (create(tool_resources={"file_search": {"vector_stores": [{"name": "x"}]}}), f"{STORE}.name"),
        (
            create(
                tool_resources={"file_search": {"vector_stores": [{"chunking_strategy": {"type": "auto", "x": 1}}]}}
            ),
            f"{STORE}.chunking_strategy.x",
        ),
        (
            static(max_chunk_size_tokens=100, chunk_overlap_tokens=0, x=1),
            f"{STORE}.chunking_strategy.static.x",
        ),
    ],
    ids=lambda value: repr(value) if isinstance(value, str) else "",
)
def test_an_unknown_key_is_refused_at_every_depth(body: Any, path: str) -> None:
    assert told(body) == (f"Unknown parameter: '{path}'.", path, "unknown_parameter")


def test_the_helper_that_makes_a_store_is_for_creation_only() -> None:
    body = {"tool_resources": {"file_search": {"vector_stores": []}}}
    path = "tool_resources.file_search.vector_stores"
    assert told(body, ModifyAssistant) == (f"Unknown parameter: '{path}'.", path, "unknown_parameter")


@pytest.mark.parametrize("field", ["id", "object", "created_at"])
def test_what_the_service_decides_cannot_be_sent(field: str) -> None:
    assert told(create(**{field: 1})) == (f"Unknown parameter: '{field}'.", field, "unknown_parameter")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "model"),
        (create(tools=[{}]), "tools[0].type"),
        (create(tools=[{"type": "function"}]), "tools[0].function"),
        (create(tools=[{"type": "function", "function": {}}]), "tools[0].function.name"),
        (create(response_format={}), "response_format.type"),
        (create(response_format={"type": "json_schema"}), "response_format.json_schema"),
        (create(response_format={"type": "json_schema", "json_schema": {}}), "response_format.json_schema.name"),
        (
            create(tools=[{"type": "file_search", "file_search": {"ranking_options": {}}}]),
            "tools[0].file_search.ranking_options.score_threshold",
        ),
        (
            create(tool_resources={"file_search": {"vector_stores": [{"chunking_strategy": {}}]}}),
            f"{STORE}.chunking_strategy.type",
        ),
        (
            create(tool_resources={"file_search": {"vector_stores": [{"chunking_strategy": {"type": "static"}}]}}),
            f"{STORE}.chunking_strategy.static",
        ),
        (static(chunk_overlap_tokens=0), f"{STORE}.chunking_strategy.static.max_chunk_size_tokens"),
        (static(max_chunk_size_tokens=100), f"{STORE}.chunking_strategy.static.chunk_overlap_tokens"),
    ],
    ids=lambda value: repr(value) if isinstance(value, str) else "",
)
def test_what_is_required_and_missing_is_named(body: Any, path: str) -> None:
    assert told(body) == (f"Missing required parameter: '{path}'.", path, "missing_required_parameter")


#: Each field with a value of another type, and the words for what was expected.
WRONG = [
    ("model", 1, "a string", "an integer"),
    ("name", ["x"], "a string", "an array"),
    ("description", {}, "a string", "an object"),
    ("instructions", True, "a string", "a boolean"),
    ("reasoning_effort", 1, "a string", "an integer"),
    ("tools", "code_interpreter", "an array of objects", "a string"),
    ("tools", {"type": "code_interpreter"}, "an array of objects", "an object"),
    ("tool_resources", [], "an object", "an array"),
    ("metadata", "k=v", "an object", "a string"),
    ("temperature", "1", "a decimal", "a string"),
    ("temperature", True, "a decimal", "a boolean"),
    ("top_p", [1], "a decimal", "an array"),
    ("response_format", 1, "one of a string or an object", "an integer"),
    ("response_format", ["auto"], "one of a string or an object", "an array"),
]


@BOTH
@pytest.mark.parametrize(("field", "value", "expected", "got"), WRONG)
def test_a_value_of_another_type_is_refused(record: Any, field: str, value: Any, expected: str, got: str) -> None:
    body = {"model": "m", field: value}
    assert told(body, record) == (
        f"Invalid type for '{field}': expected {expected}, but got {got} instead.",
        field,
        "invalid_type",
    )


@pytest.mark.parametrize(
    ("value", "got"),
    [(True, "a boolean"), (1, "an integer"), (1.5, "a decimal"), (None, "null"), ([], "an array"), ({}, "an object")],
)
def test_metadata_holds_strings_only(value: Any, got: str) -> None:
    """Source: the recorded refusal of `metadata.modified`."""
    assert told(create(metadata={"modified": value})) == (
        f"Invalid type for 'metadata.modified': expected a string, but got {got} instead.",
        "metadata.modified",
        "invalid_type",
    )


@pytest.mark.parametrize("value", [1.0, 1.5, "1", True])
def test_an_integer_is_written_as_one(value: Any) -> None:
    message, param, code = told(create(tools=[{"type": "file_search", "file_search": {"max_num_results": value}}]))
    assert "expected an integer, but got" in message
    assert (param, code) == ("tools[0].file_search.max_num_results", "invalid_type")


@pytest.mark.parametrize("tag", [1, None, [], {}, True])
def test_a_tag_is_a_string(tag: Any) -> None:
    assert told(create(tools=[{"type": tag}]))[1:] == ("tools[0].type", "invalid_type")


@pytest.mark.parametrize(
    ("body", "message", "path"),
    [
        (
            create(tools=[{"type": "retrieval"}]),
            "Invalid value: 'retrieval'. Supported values are: 'code_interpreter', 'file_search', and 'function'.",
            "tools[0].type",
        ),
        (
            create(response_format={"type": "xml"}),
            "Invalid value: 'xml'. Supported values are: 'text', 'json_object', and 'json_schema'.",
            "response_format.type",
        ),
        (create(response_format="json"), "Invalid value: 'json'. Supported values are: 'auto'.", "response_format"),
        (
            create(tools=[{"type": "file_search", "file_search": {"ranking_options": {"ranker": "x"}}}]),
            "Invalid value: 'x'. Supported values are: 'auto' and 'default_2024_08_21'.",
            "tools[0].file_search.ranking_options.ranker",
        ),
        (
            create(tool_resources={"file_search": {"vector_stores": [{"chunking_strategy": {"type": "x"}}]}}),
            "Invalid value: 'x'. Supported values are: 'auto' and 'static'.",
            f"{STORE}.chunking_strategy.type",
        ),
    ],
    ids=["tool", "response format", "response format as a word", "ranker", "chunking strategy"],
)
def test_a_value_outside_an_enumeration_is_told_the_supported_ones(body: Any, message: str, path: str) -> None:
    assert told(body) == (message, path, "invalid_value")


@pytest.mark.parametrize("effort", ["none", "minimal", "low", "medium", "high", "xhigh", "max", None])
def test_reasoning_effort_is_one_of_the_published_words(effort: Any) -> None:
    assert taken(create(reasoning_effort=effort)).reasoning_effort == effort
    assert told(create(reasoning_effort="highest"))[1:] == ("reasoning_effort", "invalid_value")


NULLABLE = [
    "name",
    "description",
    "instructions",
    "reasoning_effort",
    "tool_resources",
    "metadata",
    "temperature",
    "top_p",
    "response_format",
]


@BOTH
@pytest.mark.parametrize("field", NULLABLE)
def test_absent_and_null_are_told_apart(record: Any, field: str) -> None:
    assert getattr(taken({"model": "m"}, record), field) is UNSET
    assert getattr(taken({"model": "m", field: None}, record), field) is None


@BOTH
@pytest.mark.parametrize("field", ["model", "tools"])
def test_null_is_no_value_for_a_field_that_always_has_one(record: Any, field: str) -> None:
    message, param, code = told({"model": "m", field: None}, record)
    assert message.endswith("but got null instead.")
    assert (param, code) == (field, "invalid_type")


@pytest.mark.parametrize(
    ("resources", "path"),
    [
        ({"code_interpreter": {"file_ids": None}}, "tool_resources.code_interpreter.file_ids"),
        ({"file_search": {"vector_stores": [None]}}, STORE),
        ({"file_search": {"vector_stores": [{"chunking_strategy": None}]}}, f"{STORE}.chunking_strategy"),
        ({"file_search": {"vector_stores": [{"file_ids": None}]}}, f"{STORE}.file_ids"),
        ({"file_search": {"vector_store_ids": [None]}}, "tool_resources.file_search.vector_store_ids[0]"),
    ],
)
def test_null_inside_resources_is_refused_where_the_reference_has_none(resources: Any, path: str) -> None:
    assert told(create(tool_resources=resources))[1:] == (path, "invalid_type")


def test_null_inside_resources_is_taken_where_clients_send_it() -> None:
    taken(create(tool_resources={"code_interpreter": None, "file_search": None}))
    taken(create(tool_resources={"file_search": {"vector_store_ids": None, "vector_stores": None}}))
    taken(create(tools=[{"type": "file_search", "file_search": None}]))


@pytest.mark.parametrize(
    ("resources", "path", "begins"),
    [
        ({"code_interpreter": {"file_ids": ["file-1", "vs_1"]}}, "tool_resources.code_interpreter.file_ids[1]", "file"),
        ({"file_search": {"vector_store_ids": ["file-1"]}}, "tool_resources.file_search.vector_store_ids[0]", "vs"),
        ({"file_search": {"vector_stores": [{"file_ids": ["asst_1"]}]}}, f"{STORE}.file_ids[0]", "file"),
        ({"file_search": {"vector_store_ids": [""]}}, "tool_resources.file_search.vector_store_ids[0]", "vs"),
    ],
)
def test_an_id_of_another_kind_is_told_its_prefix(resources: Any, path: str, begins: str) -> None:
    message, param, code = told(create(tool_resources=resources))
    assert message.startswith(f"Invalid '{path}': '")
    assert message.endswith(f"'. Expected an ID that begins with '{begins}'.")
    assert (param, code) == (path, "invalid_value")


def test_a_store_is_named_or_made_but_not_both() -> None:
    path = "tool_resources.file_search"
    taken(create(tool_resources={"file_search": {"vector_store_ids": [], "vector_stores": [{}]}}))
    assert told(create(tool_resources={"file_search": {"vector_store_ids": ["vs_1"], "vector_stores": [{}]}})) == (
        f"Mutually exclusive parameters. Ensure you are only providing one of: '{path}.vector_store_ids' or "
        f"'{path}.vector_stores'.",
        path,
        "mutually_exclusive_parameters",
    )


def test_the_first_fault_in_the_bodys_order_is_told() -> None:
    assert told(b'{"name": 1, "description": 2, "model": "m"}')[1] == "name"
    assert told(b'{"description": 2, "name": 1, "model": "m"}')[1] == "description"
    assert told(b'{"description": 2}')[1] == "description"


def test_a_schema_of_parameters_is_kept_as_it_came() -> None:
    parameters = {"type": "object", "properties": {"n": {"enum": [1, 2.5, None, "x", True, 2**70, -0.0]}}, "$x": [[]]}
    body = create(tools=[{"type": "function", "function": {"name": "f", "parameters": parameters}}])
    assert taken(body, CreateAssistant).tools[0].function.parameters == parameters
