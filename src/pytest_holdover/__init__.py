"""The pytest fixture ``holdover_server``: see `holdover.testing`.

pytest imports this wherever Holdover is installed; so it is a package of its own, and everything is imported late.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from holdover.testing import HoldoverServer


@pytest.fixture(scope="session")
def _holdover_stage() -> Iterator[Any]:
    from holdover.service import stage

    with stage() as given:
        yield given


@pytest.fixture
def holdover_server(_holdover_stage: Any) -> Iterator[HoldoverServer]:
    """The Assistants API on a port of this process, empty, with a model that says what the test tells it to.

    `holdover_server.base_url` is for any client, `holdover_server.client()` is one, and `holdover_server.reply(...)`
    says what the model answers.
    """
    from holdover.testing import server_on

    with server_on(_holdover_stage) as server:
        yield server
