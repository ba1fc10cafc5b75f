"""Databases with many assistants in them, filled without the service: through SQLite, in large transactions."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from pathlib import Path

from holdover.store.sqlite import SQLiteStore
from holdover.store.sqlite.objects import INSERT

from .documents import document

#: Room that a row takes on disk, its share of the indexes and of the log included.
ROW_BYTES = 2_000

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def random_ids(count: int, seed: int) -> list[str]:
    """Return ids like those the service gives, the same for the same seed."""
    source = random.Random(seed)
    return ["asst_" + "".join(source.choices(_ALPHABET, k=24)) for _ in range(count)]


def fill(path: Path, ids: list[str]) -> None:
    """Make a database with the service's own schema, holding an assistant for each id."""
    asyncio.run(_make(path))
    before, after = document("@").split(b"@")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -1000000")
        connection.execute("BEGIN")
        connection.executemany(
            INSERT["assistant"],
            (
                {"id": each, "created_at": 1_790_000_000, "document": before + each.encode() + after, "extra": None}
                for each in ids
            ),
        )
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def _make(path: Path) -> None:
    store = await SQLiteStore.open(str(path))
    await store.close()
