"""PostgreSQL: statements with named parameters, and asking them on a connection."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

Connection = Any  # asyncpg's

_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")
_NUMBER = re.compile(r"\$(\d+)")


class Query:
    """A statement with named parameters, numbered as the database wants them."""

    __slots__ = ("_names", "sql")

    def __init__(self, text: str) -> None:
        self._names = tuple(dict.fromkeys(_PARAMETER.findall(text)))
        self.sql = _PARAMETER.sub(lambda match: f"${self._names.index(match[1]) + 1}", text)

    def arguments(self, given: Mapping[str, Any]) -> list[Any]:
        return [storable(given[name]) for name in self._names]


def storable(value: Any) -> Any:
    """Return a value without what text cannot hold here: NUL.

    No id has one, so a look-up finds nothing either way; a document is bytes and keeps it.
    """
    return value.replace("\0", "\ufffd") if type(value) is str and "\0" in value else value


async def fetch_value(connection: Connection, query: Query, **given: Any) -> Any:
    """Return the first column of the first row; ``None`` if there is no row."""
    return await connection.fetchval(query.sql, *query.arguments(given))


async def fetch_rows(connection: Connection, query: Query, **given: Any) -> list[Any]:
    """Return all rows."""
    rows: list[Any] = await connection.fetch(query.sql, *query.arguments(given))
    return rows


#: A statement that writes, and what its parameters are.
Write = tuple[Query, Mapping[str, Any]]


async def write_together(connection: Connection, writes: Sequence[Write]) -> None:
    """Carry out statements that write as one: each one asked would cost a round trip.

    They are carried out in no certain order, and none sees what another does.
    """
    await fetch_together(connection, {f"part{place}": each for place, each in enumerate(writes)}, "SELECT 1")


async def fetch_together(connection: Connection, parts: Mapping[str, Write], last: str) -> Any:
    """Carry out statements as one, and return the first column of ``last``, which may refer to them by their names."""
    statement = _joined(tuple((name, query.sql) for name, (query, _) in parts.items()), last)
    arguments = (each for query, given in parts.values() for each in query.arguments(given))
    return await connection.fetchval(statement, *arguments)


@lru_cache(100)
def _joined(parts: tuple[tuple[str, str], ...], last: str) -> str:
    """Return one statement of several; the parameters of each keep their order, and have numbers of their own."""
    named = []
    before = 0
    for name, sql in parts:
        numbers = {int(number) for number in _NUMBER.findall(sql)}
        named.append(f"{name} AS (\n{_NUMBER.sub(_raised_by(before), sql)}\n)")
        before += len(numbers)
    return f"WITH {', '.join(named)}\n{last}"


def _raised_by(count: int) -> Callable[[re.Match[str]], str]:
    return lambda number: f"${int(number[1]) + count}"
