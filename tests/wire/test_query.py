"""The parameters of a list."""

from __future__ import annotations

import pytest

from holdover.wire.pages import PageQuery
from holdover.wire.record import UNSET
from holdover.wire.refusals import Refused
from holdover.wire.strict import decode_query


def told(*pairs: tuple[str, str]) -> tuple[str, str | None, str | None]:
    with pytest.raises(Refused) as caught:
        decode_query(list(pairs), PageQuery)
    return caught.value.message, caught.value.param, caught.value.code


def test_nothing_asked_is_the_first_page() -> None:
    assert decode_query([], PageQuery) == PageQuery(after=UNSET, before=UNSET, limit=UNSET, order=UNSET)


@pytest.mark.parametrize("limit", ["1", "100", "020"])
def test_a_page_has_1_to_100_objects(limit: str) -> None:
    assert decode_query([("limit", limit)], PageQuery).limit == int(limit)


def test_a_limit_beyond_is_refused_in_the_hosted_words() -> None:
    assert told(("limit", "1000")) == (
        "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 1000 instead.",
        "limit",
        "integer_above_max_value",
    )
    assert told(("limit", "0")) == (
        "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        "limit",
        "integer_below_min_value",
    )
    assert told(("limit", "-1"))[2] == "integer_below_min_value"
    assert told(("limit", "9" * 19))[2] == "integer_above_max_value"


@pytest.mark.parametrize("limit", ["", " 1", "1 ", "abc", "1.0", "1e2", "0x10", "１", "+1", "--1", "null", "9" * 5000])
def test_a_limit_that_is_no_integer_is_refused(limit: str) -> None:
    assert told(("limit", limit)) == (
        "Invalid type for 'limit': expected an integer, but got a string instead.",
        "limit",
        "invalid_type",
    )


@pytest.mark.parametrize("order", ["", "ASC", "up", "desc "])
def test_an_order_is_asc_or_desc(order: str) -> None:
    assert decode_query([("order", "asc")], PageQuery).order == "asc"
    assert decode_query([("order", "desc")], PageQuery).order == "desc"
    assert told(("order", order)) == (
        f"Invalid value: '{order}'. Supported values are: 'asc' and 'desc'.",
        "order",
        "invalid_value",
    )


def test_a_parameter_is_known_and_given_once() -> None:
    assert told(("page", "2")) == ("Unknown parameter: 'page'.", "page", "unknown_parameter")
    assert told(("limit", "1"), ("limit", "1"))[1:] == ("limit", "invalid_value")
    assert told(("limit[]", "1"))[2] == "unknown_parameter"


def test_a_nul_character_is_refused() -> None:
    assert told(("after", "asst_\0"))[1:] == ("after", "invalid_value")
    assert told(("li\0mit", "1"))[2] == "invalid_value"
