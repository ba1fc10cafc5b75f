"""PostgreSQL: statements with named parameters, and asking them on a connection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Connection = Any  # asyncpg's, or the pool's stand-in for one

_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")


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
