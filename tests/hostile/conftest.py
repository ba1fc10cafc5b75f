"""A service that is treated badly, and what must be true of it afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.conftest import Service, running_service
from tests.server.talk import create, listed


@pytest.fixture(scope="session")
def suffering_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all that is done to it, with a few assistants in it."""
    with running_service(tmp_path_factory.mktemp("hostile")) as service:
        for name in ("a", "b", "c"):
            create(service, name=name)
        yield service


@pytest.fixture
def target(suffering_service: Service) -> Iterator[Service]:
    """The service; whatever the test does to it changes nothing in it and makes it log nothing."""
    before = listed(suffering_service)
    yield suffering_service
    assert listed(suffering_service) == before
    assert suffering_service.log.read_text() == ""
