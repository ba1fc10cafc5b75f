"""Arenas: one for every jail that passes its self-test on this machine."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.tools.code_interpreter.arena import JAILS, Arena, make, report

from holdover.tools.code_interpreter import environment


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat what is done to an arena as often as ``make attacks`` says."""
    times = int(os.environ.get("SANDBOX_ATTACKS", "1"))
    if times > 1 and {"arena", "full_arena"} & set(metafunc.fixturenames):
        metafunc.fixturenames.append("_again")
        metafunc.parametrize("_again", range(times))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=JAILS)
async def arena(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Arena]:
    """A jail with Python alone."""
    async for each in _arena(request, tmp_path_factory, with_packages=False):
        yield each


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=JAILS)
async def full_arena(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Arena]:
    """A jail with pandas and Matplotlib."""
    if environment.find("/nowhere") is None:
        pytest.skip("the sandbox's packages are not installed: make install does that")
    async for each in _arena(request, tmp_path_factory, with_packages=True):
        yield each


async def _arena(
    request: pytest.FixtureRequest, folders: pytest.TempPathFactory, *, with_packages: bool
) -> AsyncIterator[Arena]:
    folder = str(folders.mktemp("sessions"))
    found = await report(request.param, folder)
    if not found.passed:
        pytest.skip(f"{request.param}: {found.failure}")
    arena = Arena(request.param, make(request.param, folder, with_packages=with_packages))
    yield arena
    await arena.close()
