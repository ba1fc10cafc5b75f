"""The stores that the contract suite binds. A new one is one more entry in `STORES`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests import postgres

from holdover.store.postgres import PostgresStore
from holdover.store.protocol import Store
from holdover.store.sqlite import SQLiteStore

#: Opens the store that lives in a folder; opened again there, it holds what it held.
Opener = Callable[[Path], Awaitable[Store]]


async def _sqlite(folder: Path) -> Store:
    return await SQLiteStore.open(str(folder / "holdover.db"))


async def _postgres(folder: Path) -> Store:
    return await PostgresStore.open(await postgres.database_url(folder))


STORES: dict[str, Opener] = {"sqlite": _sqlite, "postgres": _postgres}


@pytest.fixture(params=STORES)
def open_store(request: pytest.FixtureRequest) -> Opener:
    """How to open one kind of store."""
    return STORES[request.param]


@pytest.fixture
async def store(open_store: Opener, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store of each kind."""
    opened = await open_store(tmp_path)
    yield opened
    await opened.close()
