"""Reads SQL from ``.sql`` files: statements by name, migrations by number."""

from __future__ import annotations

import re
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_CASE = re.compile(r"\[(\w+)\] (.*)")
_MIGRATION = re.compile(r"(\d{4})_\w+\.sql\Z")


def load_statements(dialect: str, file: str) -> dict[str, str]:
    """Return the statements of ``sql/<dialect>/<file>`` by name."""
    text = (files(__package__) / "sql" / dialect / file).read_text("utf-8")
    _, *parts = _NAME.split(text)
    return {name: sql.strip() for name, sql in zip(parts[::2], parts[1::2], strict=True)}


def for_case(statement: str, **cases: bool) -> str:
    """Return a statement for a case: a line that begins with ``[name]`` stays, without that, where the name is true."""
    lines = []
    for line in statement.splitlines():
        marked = _CASE.match(line)
        if marked is None:
            lines.append(line)
        elif cases[marked[1]]:
            lines.append(marked[2])
    return "\n".join(lines)


def load_migrations(dialect: str) -> list[tuple[int, str]]:
    """Return the numbered migrations of a dialect in order."""
    found = ((_MIGRATION.match(entry.name), entry) for entry in (files(__package__) / "sql" / dialect).iterdir())
    return sorted((int(match[1]), entry.read_text("utf-8")) for match, entry in found if match)
