"""Bodies about vector stores: their limits, and what is refused in which words."""

from __future__ import annotations

from typing import Any

import pytest

from holdover.wire.refusals import Refused
from holdover.wire.strict import decode_query, from_plain
from holdover.wire.vector_stores import (
    CreateFileBatch,
    CreateVectorStore,
    CreateVectorStoreFile,
    ModifyVectorStore,
    SearchVectorStore,
    UpdateVectorStoreFileAttributes,
    VectorStoreFileQuery,
)

FILE = {"file_id": "file-1"}
CHUNKING = "chunking_strategy.static"


def sizes(size: int, overlap: int) -> dict[str, Any]:
    static = {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap}
    return {"chunking_strategy": {"type": "static", "static": static}}


@pytest.mark.parametrize(
    ("record", "body"),
    [
        (CreateVectorStore, {}),
        (CreateVectorStore, {"file_ids": ["file-1"] * 500, "name": None, "metadata": None, "expires_after": None}),
        (CreateVectorStore, {"expires_after": {"anchor": "last_active_at", "days": 365}, **sizes(4096, 2048)}),
        (ModifyVectorStore, {"name": None, "expires_after": None}),
        (CreateVectorStoreFile, {**FILE, "attributes": {"a": "x" * 512, "b": 1, "c": 1.5, "d": True}}),
        (CreateVectorStoreFile, {**FILE, "attributes": {f"{n}" * 1: n for n in range(10)}, **sizes(100, 0)}),
        (UpdateVectorStoreFileAttributes, {"attributes": None}),
        (CreateFileBatch, {"file_ids": ["file-1"] * 2000}),
        (CreateFileBatch, {"files": [FILE] * 2000}),
        (SearchVectorStore, {"query": ["a", "b"], "max_num_results": 50, "rewrite_query": True}),
        (SearchVectorStore, {"query": "a", "ranking_options": {"ranker": "default-2024-11-15", "score_threshold": 1}}),
    ],
)
def test_what_is_within_the_limits_is_taken(record: Any, body: Any) -> None:
    from_plain(body, record)


@pytest.mark.parametrize(
    ("record", "body", "param", "code"),
    [
        (CreateVectorStore, {"file_ids": ["file-1"] * 501}, "file_ids", "array_above_max_length"),
        (CreateVectorStore, {"file_ids": ["vs_1"]}, "file_ids[0]", "invalid_value"),
        (CreateVectorStore, {"expires_after": {"anchor": "x", "days": 1}}, "expires_after.anchor", "invalid_value"),
        (
            CreateVectorStore,
            {"expires_after": {"anchor": "last_active_at", "days": 366}},
            "expires_after.days",
            "integer_above_max_value",
        ),
        (CreateVectorStore, sizes(99, 0), f"{CHUNKING}.max_chunk_size_tokens", "integer_below_min_value"),
        (CreateVectorStore, sizes(4097, 0), f"{CHUNKING}.max_chunk_size_tokens", "integer_above_max_value"),
        (
            CreateVectorStoreFile,
            {**FILE, **sizes(100, 51)},
            f"{CHUNKING}.chunk_overlap_tokens",
            "integer_above_max_value",
        ),
        (CreateVectorStoreFile, {}, "file_id", "missing_required_parameter"),
        (CreateVectorStoreFile, {"file_id": "undefined"}, "file_id", "invalid_value"),
        (CreateVectorStoreFile, {**FILE, "attributes": {"a": None}}, "attributes.a", "invalid_type"),
        (CreateVectorStoreFile, {**FILE, "attributes": {"a": ["b"]}}, "attributes.a", "invalid_type"),
        (CreateVectorStoreFile, {**FILE, "attributes": {"a": 2**63}}, "attributes.a", "integer_above_max_value"),
        (CreateVectorStoreFile, {**FILE, "attributes": {"a": "x" * 513}}, "attributes.a", "string_above_max_length"),
        (CreateVectorStoreFile, {**FILE, "attributes": {"x" * 65: 1}}, "attributes", "string_above_max_length"),
        (
            CreateVectorStoreFile,
            {**FILE, "attributes": {str(n): n for n in range(17)}},
            "attributes",
            "object_above_max_properties",
        ),
        (UpdateVectorStoreFileAttributes, {}, "attributes", "missing_required_parameter"),
        (CreateFileBatch, {}, "file_ids", "missing_required_parameter"),
        (CreateFileBatch, {"files": [{**FILE, "x": 1}]}, "files[0].x", "unknown_parameter"),
        (
            CreateFileBatch,
            {"files": [{**FILE, **sizes(100, 60)}]},
            f"files[0].{CHUNKING}.chunk_overlap_tokens",
            "integer_above_max_value",
        ),
        (CreateFileBatch, {"files": [FILE], "file_ids": ["file-1"]}, None, "mutually_exclusive_parameters"),
        (SearchVectorStore, {}, "query", "missing_required_parameter"),
        (SearchVectorStore, {"query": ""}, "query", "string_below_min_length"),
        (SearchVectorStore, {"query": []}, "query", "empty_array"),
        (SearchVectorStore, {"query": [1]}, "query[0]", "invalid_type"),
        (SearchVectorStore, {"query": "a", "max_num_results": 51}, "max_num_results", "integer_above_max_value"),
        (SearchVectorStore, {"query": "a", "max_num_results": 0}, "max_num_results", "integer_below_min_value"),
        (
            SearchVectorStore,
            {"query": "a", "ranking_options": {"ranker": "x"}},
            "ranking_options.ranker",
            "invalid_value",
        ),
        (
            SearchVectorStore,
            {"query": "a", "ranking_options": {"score_threshold": 2}},
            "ranking_options.score_threshold",
            "decimal_above_max_value",
        ),
    ],
)
def test_what_is_beyond_is_refused(record: Any, body: Any, param: str | None, code: str) -> None:
    with pytest.raises(Refused) as caught:
        from_plain(body, record)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_a_list_of_files_is_filtered_by_a_state_that_there_is() -> None:
    assert decode_query([("filter", "failed")], VectorStoreFileQuery).filter == "failed"
    with pytest.raises(Refused, match="Supported values are: 'cancelled', 'completed', 'failed', and 'in_progress'"):
        decode_query([("filter", "done")], VectorStoreFileQuery)
