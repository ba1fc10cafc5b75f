"""PostgreSQL: statements with named parameters, and asking them on a connection."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

Connection = Any  # asyncpg's, or the pool's stand-in for one

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
    statement = _joined(tuple(query.sql for query, _ in writes))
    await connection.fetchval(statement, *(each for query, given in writes for each in query.arguments(given)))


@lru_cache(100)
def _joined(statements: tuple[str, ...]) -> str:
    *parts, last = _numbered_on(statements)
    named = ",\n".join(f"part{place} AS (\n{part}\n)" for place, part in enumerate(parts))
    return f"WITH {named}\n{last}" if parts else last


def _numbered_on(statements: Sequence[str]) -> list[str]:
    """Return statements whose parameters have numbers of their own each."""
    numbered = []
    before = 0
    for each in statements:
        numbered.append(_NUMBER.sub(lambda match, before=before: f"${int(match[1]) + before}", each))  # type: ignore[misc]
        before += max((int(number) for number in _NUMBER.findall(each)), default=0)
    return numbered
