"""Filters on attributes: what each operator means, and what holds of all of them."""

from __future__ import annotations

import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdover.wire.filters import accepts
from holdover.wire.refusals import Refused
from holdover.wire.strict import from_plain, parse_json
from holdover.wire.vector_stores import SearchVectorStore

KEYS = st.sampled_from("abc")
VALUES = (
    st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.text("ab", max_size=2)
    | st.integers(-2, 2)
)
ATTRIBUTES = st.dictionaries(KEYS, VALUES, max_size=3)
COMPARISONS = st.builds(
    lambda kind, key, value: {"type": kind, "key": key, "value": value},
    st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte"]),
    KEYS,
    VALUES,
) | st.builds(
    lambda kind, key, value: {"type": kind, "key": key, "value": value},
    st.sampled_from(["in", "nin"]),
    KEYS,
    st.lists(VALUES, max_size=3),
)
FILTERS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    COMPARISONS,
    lambda inner: st.builds(
        lambda kind, filters: {"type": kind, "filters": filters},
        st.sampled_from(["and", "or"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


def accepted(filters: dict[str, Any], attributes: dict[str, Any]) -> bool:
    body = from_plain({"query": "q", "filters": filters}, SearchVectorStore)
    assert body.filters
    return accepts(body.filters)(attributes)


def kind(value: Any) -> Any:
    return "number" if type(value) in (int, float) else type(value)


ORDERS = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


def meant(filters: dict[str, Any], attributes: dict[str, Any]) -> bool:
    """Say in so many words what a filter means."""
    match filters["type"]:
        case "and":
            return all(meant(each, attributes) for each in filters["filters"])
        case "or":
            return any(meant(each, attributes) for each in filters["filters"])
        case "ne" | "nin":
            return not meant({**filters, "type": {"ne": "eq", "nin": "in"}[filters["type"]]}, attributes)
    if filters["key"] not in attributes:
        return False
    value, wanted = attributes[filters["key"]], filters["value"]
    if filters["type"] == "in":
        return any(kind(each) == kind(value) and each == value for each in wanted)
    if kind(value) != kind(wanted):
        return False
    return bool(value == wanted if filters["type"] == "eq" else ORDERS[filters["type"]](value, wanted))


@given(FILTERS, ATTRIBUTES)
def test_a_filter_accepts_what_it_means(filters: dict[str, Any], attributes: dict[str, Any]) -> None:
    assert accepted(filters, attributes) is meant(filters, attributes)


@given(COMPARISONS, ATTRIBUTES)
def test_of_a_pair_of_opposites_exactly_one_holds_where_kinds_agree(
    filters: dict[str, Any], attributes: dict[str, Any]
) -> None:
    opposites = {"eq": "ne", "ne": "eq", "in": "nin", "nin": "in"}
    ordered = {"gt": "lte", "gte": "lt", "lt": "gte", "lte": "gt"}
    value = attributes.get(filters["key"])
    if filters["type"] in opposites or (value is not None and kind(value) == kind(filters["value"])):
        opposite = {**filters, "type": (opposites | ordered)[filters["type"]]}
        assert accepted(filters, attributes) is not accepted(opposite, attributes)
    else:
        assert not accepted(filters, attributes)


@given(FILTERS, FILTERS, ATTRIBUTES)
def test_and_and_or_are_those_of_logic(one: dict[str, Any], other: dict[str, Any], attributes: dict[str, Any]) -> None:
    holds = [accepted(each, attributes) for each in (one, other)]
    assert accepted({"type": "and", "filters": [one, other]}, attributes) is all(holds)
    assert accepted({"type": "or", "filters": [one, other]}, attributes) is any(holds)


@pytest.mark.parametrize(
    ("value", "other"), [(1, True), (0, False), (1, "1"), (True, "True"), ("", False), (0.0, False)]
)
def test_values_of_two_kinds_are_never_equal(value: Any, other: Any) -> None:
    assert accepted({"type": "eq", "key": "a", "value": value}, {"a": value})
    assert not accepted({"type": "eq", "key": "a", "value": value}, {"a": other})
    assert not accepted({"type": "in", "key": "a", "value": [value]}, {"a": other})
    assert accepted({"type": "ne", "key": "a", "value": value}, {"a": other})
    assert not accepted({"type": "gte", "key": "a", "value": value}, {"a": other})


def test_whole_numbers_and_decimals_are_one_kind() -> None:
    assert accepted({"type": "eq", "key": "a", "value": 1}, {"a": 1.0})
    assert accepted({"type": "gt", "key": "a", "value": 1}, {"a": 1.5})


@pytest.mark.parametrize(
    ("filters", "param", "code"),
    [
        ({"type": "like", "key": "a", "value": "b"}, "filters.type", "invalid_value"),
        ({"key": "a", "value": "b"}, "filters.type", "missing_required_parameter"),
        ({"type": "eq", "value": "b"}, "filters.key", "missing_required_parameter"),
        ({"type": "eq", "key": "a"}, "filters.value", "missing_required_parameter"),
        ({"type": "eq", "key": "a", "value": ["b"]}, "filters.value", "invalid_type"),
        ({"type": "eq", "key": "a", "value": None}, "filters.value", "invalid_type"),
        ({"type": "in", "key": "a", "value": "b"}, "filters.value", "invalid_type"),
        ({"type": "in", "key": "a", "value": [{}]}, "filters.value[0]", "invalid_type"),
        ({"type": "eq", "key": "a", "value": 2**63}, "filters.value", "integer_above_max_value"),
        ({"type": "and", "filters": []}, "filters.filters", "empty_array"),
        ({"type": "and"}, "filters.filters", "missing_required_parameter"),
        ({"type": "or", "filters": [{"type": "x"}]}, "filters.filters[0].type", "invalid_value"),
        ({"type": "eq", "key": "a", "value": 1, "x": 1}, "filters.x", "unknown_parameter"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(filters: Any, param: str, code: str) -> None:
    with pytest.raises(Refused) as caught:
        from_plain({"query": "q", "filters": filters}, SearchVectorStore)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_filters_may_be_deep_and_not_deeper_than_json() -> None:
    def nested(depth: int) -> bytes:
        begun, ended = b'{"type":"and","filters":[' * depth, b"]}" * depth
        return b'{"query":"q","filters":%b{"type":"eq","key":"a","value":1}%b}' % (begun, ended)

    body = from_plain(parse_json(nested(60)), SearchVectorStore)
    assert body.filters
    assert accepts(body.filters)({"a": 1})
    with pytest.raises(Refused, match="nested more than"):
        parse_json(nested(100))
