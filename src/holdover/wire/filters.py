"""Filters on the attributes of files: their records, and what they mean.

Kinds are strict: a string, a number and a boolean are never equal, and none is greater than one of another kind. A file
without the attribute has no value of any kind: it is ``ne`` and ``nin`` everything, and nothing else.

Source: ComparisonFilter and CompoundFilter of the published reference, which say neither.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Union

from msgspec import Meta

from .record import Record

#: What a file's attribute can be.
Value = str | bool | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | float
MAX_VALUES = 2_000
MAX_FILTERS = 256

Values = Annotated[list[Value], Meta(max_length=MAX_VALUES)]


class Comparison(Record, frozen=True, kw_only=True, tag_field="type"):
    """An attribute, compared with a value."""

    key: str
    value: Value


class Equal(Comparison, frozen=True, kw_only=True, tag="eq"):
    """It is this value."""


class NotEqual(Comparison, frozen=True, kw_only=True, tag="ne"):
    """It is another value, or none."""


class Greater(Comparison, frozen=True, kw_only=True, tag="gt"):
    """It comes behind this value."""


class GreaterOrEqual(Comparison, frozen=True, kw_only=True, tag="gte"):
    """It comes behind this value, or is it."""


class Less(Comparison, frozen=True, kw_only=True, tag="lt"):
    """It comes before this value."""


class LessOrEqual(Comparison, frozen=True, kw_only=True, tag="lte"):
    """It comes before this value, or is it."""


class In(Record, frozen=True, kw_only=True, tag_field="type", tag="in"):
    """It is one of these values."""

    key: str
    value: Values


class NotIn(Record, frozen=True, kw_only=True, tag_field="type", tag="nin"):
    """It is none of these values."""

    key: str
    value: Values


# `Union` in so many words: a member that is named before it is made cannot be joined with ``|``.
Filters = Annotated[list["Filter"], Meta(min_length=1, max_length=MAX_FILTERS)]


class And(Record, frozen=True, kw_only=True, tag_field="type", tag="and"):
    """All of these hold."""

    filters: Filters


class Or(Record, frozen=True, kw_only=True, tag_field="type", tag="or"):
    """At least one of these holds."""

    filters: Filters


Filter = Union[  # noqa: UP007
    Equal, NotEqual, Greater, GreaterOrEqual, Less, LessOrEqual, In, NotIn, And, Or
]

Accepts = Callable[[Mapping[str, Any]], bool]

_ORDERS: dict[type, Callable[[Any, Any], bool]] = {
    Greater: operator.gt,
    GreaterOrEqual: operator.ge,
    Less: operator.lt,
    LessOrEqual: operator.le,
}


def accepts(given: Filter) -> Accepts:
    """Return a function that says whether a file with these attributes is among those that are searched."""
    match given:
        case And():
            parts = [accepts(each) for each in given.filters]
            return lambda attributes: all(part(attributes) for part in parts)
        case Or():
            parts = [accepts(each) for each in given.filters]
            return lambda attributes: any(part(attributes) for part in parts)
        case In() | NotIn():
            key, wanted = given.key, {_distinct(each) for each in given.value}
            is_wanted = isinstance(given, In)
            return lambda attributes: (_distinct(attributes.get(key)) in wanted) is is_wanted
        case Equal() | NotEqual():
            key, value = given.key, _distinct(given.value)
            is_wanted = isinstance(given, Equal)
            return lambda attributes: (_distinct(attributes.get(key)) == value) is is_wanted
        case _:
            key, limit, holds = given.key, given.value, _ORDERS[type(given)]
            kind = _kind(limit)
            return lambda attributes: _kind(attributes.get(key)) is kind and holds(attributes[key], limit)


def _kind(value: Any) -> type:
    return float if type(value) is int else type(value)


def _distinct(value: Any) -> tuple[type, Any]:
    # Python takes True for 1.
    return _kind(value), value
