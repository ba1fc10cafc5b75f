"""Every limit of the wire, from both sides, refused in the hosted API's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdover.wire.assistants import CreateAssistant, ModifyAssistant

from .refusing import BOTH, create, taken, told


def function(**fields: Any) -> dict[str, Any]:
    return create(tools=[{"type": "function", "function": {"name": "look_up", **fields}}])


def searching(**options: Any) -> dict[str, Any]:
    return create(tools=[{"type": "file_search", "file_search": options}])


def schema(**fields: Any) -> dict[str, Any]:
    return create(response_format={"type": "json_schema", "json_schema": {"name": "answer", **fields}})


def chunks(size: Any, overlap: Any) -> dict[str, Any]:
    sizes = {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap}
    return create(
        tool_resources={"file_search": {"vector_stores": [{"chunking_strategy": {"type": "static", "static": sizes}}]}}
    )


CHUNKS = "tool_resources.file_search.vector_stores[0].chunking_strategy.static"
FUNCTION = "tools[0].function"
SEARCH = "tools[0].file_search"
RANKING = f"{SEARCH}.ranking_options"

STRINGS: list[tuple[str, int, Callable[[str], dict[str, Any]]]] = [
    ("model", 256, lambda text: {"model": text}),
    ("name", 256, lambda text: create(name=text)),
    ("description", 512, lambda text: create(description=text)),
    ("instructions", 256_000, lambda text: create(instructions=text)),
    ("metadata.k", 512, lambda text: create(metadata={"k": text})),
    (f"{FUNCTION}.name", 64, lambda text: function(name=text)),
    (f"{FUNCTION}.description", 1024, lambda text: function(description=text)),
    ("response_format.json_schema.name", 64, lambda text: schema(name=text)),
]


@BOTH
@pytest.mark.parametrize(("path", "limit", "body"), STRINGS, ids=[path for path, _, _ in STRINGS])
def test_a_string_may_have_as_many_characters_as_its_limit(
    record: Any, path: str, limit: int, body: Callable[[str], dict[str, Any]]
) -> None:
    taken(body("x" * limit), record)
    assert told(body("x" * (limit + 1)), record) == (
        f"Invalid '{path}': string too long. Expected a string with maximum length {limit}, but got a string "
        f"with length {limit + 1} instead.",
        path,
        "string_above_max_length",
    )


def test_length_is_counted_in_characters_not_in_bytes() -> None:
    taken(create(name="日" * 255 + "🙂"))
    assert told(create(name="🙂" * 257))[0].endswith("but got a string with length 257 instead.")


@pytest.mark.parametrize(
    ("path", "body"),
    [("model", {"model": ""}), (f"{FUNCTION}.name", function(name=""))],
    ids=["model", "function name"],
)
def test_a_name_that_must_be_given_is_not_empty(path: str, body: Any) -> None:
    assert told(body) == (
        f"Invalid '{path}': string too short. Expected a string with minimum length 1, but got an empty string "
        "instead.",
        path,
        "string_below_min_length",
    )


@pytest.mark.parametrize("name", ["a", "A-z_0", "-", "_", "9"])
def test_a_function_name_has_letters_digits_dashes_and_underscores(name: str) -> None:
    assert taken(function(name=name)).tools[0].function.name == name


@pytest.mark.parametrize("name", ["a b", "a.b", "é", "a\n", "\n", "a\u2028", "名", "a/b", "a\t"])
def test_a_function_name_has_nothing_else(name: str) -> None:
    assert told(function(name=name)) == (
        f"Invalid '{FUNCTION}.name': string does not match pattern. Expected a string that matches the pattern "
        "'^[a-zA-Z0-9_-]+$'.",
        f"{FUNCTION}.name",
        "invalid_value",
    )


ARRAYS: list[tuple[str, int, Callable[[int], dict[str, Any]]]] = [
    ("tools", 128, lambda count: create(tools=[{"type": "code_interpreter"}] * count)),
    (
        "tool_resources.code_interpreter.file_ids",
        20,
        lambda count: create(tool_resources={"code_interpreter": {"file_ids": ["file-1"] * count}}),
    ),
    (
        "tool_resources.file_search.vector_store_ids",
        1,
        lambda count: create(tool_resources={"file_search": {"vector_store_ids": ["vs_1"] * count}}),
    ),
    (
        "tool_resources.file_search.vector_stores",
        1,
        lambda count: create(tool_resources={"file_search": {"vector_stores": [{}] * count}}),
    ),
    (
        "tool_resources.file_search.vector_stores[0].file_ids",
        10_000,
        lambda count: create(tool_resources={"file_search": {"vector_stores": [{"file_ids": ["file-1"] * count}]}}),
    ),
]


@pytest.mark.parametrize(("path", "limit", "body"), ARRAYS, ids=[path for path, _, _ in ARRAYS])
def test_an_array_may_have_as_many_members_as_its_limit(
    path: str, limit: int, body: Callable[[int], dict[str, Any]]
) -> None:
    taken(body(0))
    taken(body(limit))
    assert told(body(limit + 1)) == (
        f"Invalid '{path}': array too long. Expected an array with maximum length {limit}, but got an array "
        f"with length {limit + 1} instead.",
        path,
        "array_above_max_length",
    )


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("metadata", lambda pairs: create(metadata=pairs)),
        (
            "tool_resources.file_search.vector_stores[0].metadata",
            lambda pairs: create(tool_resources={"file_search": {"vector_stores": [{"metadata": pairs}]}}),
        ),
    ],
    ids=["of the assistant", "of its vector store"],
)
def test_metadata_has_up_to_16_pairs_with_keys_of_up_to_64_characters(
    path: str, body: Callable[[dict[str, str]], Any]
) -> None:
    taken(body({f"{index:064}": "v" for index in range(16)}))
    assert told(body({str(index): "v" for index in range(17)})) == (
        f"Invalid '{path}': too many properties. Expected an object with at most 16 properties, but got an object "
        "with 17 properties instead.",
        path,
        "object_above_max_properties",
    )
    assert told(body({"k" * 65: "v"})) == (
        f"Invalid property name in '{path}': '{'k' * 65}' is too long. Expected a string with maximum length 64, but "
        "got a string with length 65 instead.",
        path,
        "string_above_max_length",
    )


NUMBERS: list[tuple[str, str, float, float, float, Callable[[Any], dict[str, Any]]]] = [
    ("temperature", "decimal", 0, 2, 0.001, lambda number: create(temperature=number)),
    ("top_p", "decimal", 0, 1, 0.001, lambda number: create(top_p=number)),
    (f"{SEARCH}.max_num_results", "integer", 1, 50, 1, lambda number: searching(max_num_results=number)),
    (
        f"{RANKING}.score_threshold",
        "decimal",
        0,
        1,
        0.001,
        lambda number: searching(ranking_options={"score_threshold": number}),
    ),
    (f"{CHUNKS}.max_chunk_size_tokens", "integer", 100, 4096, 1, lambda number: chunks(number, 0)),
]


@pytest.mark.parametrize(("path", "kind", "low", "high", "step", "body"), NUMBERS, ids=[row[0] for row in NUMBERS])
def test_a_number_may_be_any_from_its_least_to_its_greatest(
    path: str, kind: str, low: float, high: float, step: float, body: Callable[[Any], Any]
) -> None:
    taken(body(low))
    taken(body(high))
    assert told(body(low - step)) == (
        f"Invalid '{path}': {kind} below minimum value. Expected a value >= {low}, but got {low - step} instead.",
        path,
        f"{kind}_below_min_value",
    )
    assert told(body(high + step)) == (
        f"Invalid '{path}': {kind} above maximum value. Expected a value <= {high}, but got {high + step} instead.",
        path,
        f"{kind}_above_max_value",
    )


@pytest.mark.parametrize(("size", "most"), [(100, 50), (801, 400), (4096, 2048)])
def test_chunks_share_at_most_half_of_their_tokens(size: int, most: int) -> None:
    taken(chunks(size, most))
    path = f"{CHUNKS}.chunk_overlap_tokens"
    assert told(chunks(size, most + 1)) == (
        f"Invalid '{path}': integer above maximum value. Expected a value <= {most}, but got {most + 1} instead.",
        path,
        "integer_above_max_value",
    )
    assert told(chunks(size, -1))[2] == "integer_below_min_value"


def test_weights_of_hybrid_search_are_not_negative() -> None:
    def weighing(weight: Any) -> dict[str, Any]:
        hybrid = {"embedding_weight": weight, "text_weight": 0}
        return searching(ranking_options={"score_threshold": 0, "hybrid_search": hybrid})

    taken(weighing(0))
    taken(weighing(1e300))
    assert told(weighing(-0.1))[1:] == (f"{RANKING}.hybrid_search.embedding_weight", "decimal_below_min_value")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (lambda number: create(temperature=number), "temperature"),
        (lambda number: searching(max_num_results=number), f"{SEARCH}.max_num_results"),
        (
            lambda number: searching(
                ranking_options={
                    "score_threshold": 0,
                    "hybrid_search": {"embedding_weight": number, "text_weight": 0},
                }
            ),
            f"{RANKING}.hybrid_search.embedding_weight",
        ),
    ],
    ids=["a decimal", "an integer", "a decimal without a greatest value"],
)
def test_a_number_of_hundreds_of_digits_is_out_of_range_and_its_refusal_short(
    body: Callable[[Any], Any], path: str
) -> None:
    message, param, code = told(body(10**4000))
    assert (param, code is not None and code.endswith("_above_max_value")) == (path, True)
    assert len(message) < 500


@pytest.mark.parametrize(
    "body",
    [
        create(**{"x" * 100_000: 1}),
        create(metadata={"x" * 100_000: "v"}),
        create(reasoning_effort="x" * 100_000),
        create(tool_resources={"code_interpreter": {"file_ids": ["x" * 100_000]}}),
        create(tools=[{"type": "x" * 100_000}]),
        create(metadata={"x" * 100_000: 1}),
    ],
    ids=["key", "metadata key", "enumeration", "id", "tag", "metadata key of a value of another type"],
)
def test_a_refusal_is_short_whatever_was_sent(body: Any) -> None:
    message, param, _ = told(body)
    assert len(message) < 1000
    assert len(param or "") < 500


def test_modify_has_the_limits_of_create() -> None:
    for body in (
        {"name": "x" * 257},
        {"tools": [{"type": "code_interpreter"}] * 129},
        {"temperature": 2.1},
        {"metadata": {"k" * 65: ""}},
        {"tool_resources": {"file_search": {"vector_store_ids": ["vs_1", "vs_2"]}}},
    ):
        assert told(body, ModifyAssistant) == told({"model": "m", **body}, CreateAssistant)
