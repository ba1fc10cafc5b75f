"""What ``import holdover`` gives, and what it costs."""

from __future__ import annotations

import inspect
import subprocess
import sys
from types import ModuleType

import pytest

import holdover
from holdover import errors
from holdover.client import functions


def test_every_exported_name_is_there_and_named_once() -> None:
    assert len(holdover.__all__) == len(set(holdover.__all__))
    assert [name for name in holdover.__all__ if not hasattr(holdover, name)] == []


def test_everything_of_ours_that_the_package_shows_is_exported() -> None:
    ours = {
        name
        for name, value in vars(holdover).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__.split(".")[0] == "holdover"
    }
    assert ours <= set(holdover.__all__)


def test_a_star_import_brings_no_modules_but_the_groups() -> None:
    modules = [name for name in holdover.__all__ if isinstance(getattr(holdover, name), ModuleType)]
    assert [getattr(holdover, name).__name__ for name in modules] == [
        f"{functions.__name__}.{name}" for name in modules
    ]


def test_every_error_is_exported() -> None:
    raised = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    assert raised <= set(holdover.__all__)


def test_every_exported_class_and_function_says_what_it_is() -> None:
    undocumented = [name for name in holdover.__all__ if not inspect.getdoc(getattr(holdover, name))]
    assert undocumented == []


LOADED = """
import sys
import msgspec
before = set(sys.modules)
import holdover
loaded = {name.partition('.')[0] for name in set(sys.modules) - before}
print(*sorted(loaded - set(sys.stdlib_module_names) - {'holdover'}))
rooms = {'.'.join(name.split('.')[:2]) for name in sys.modules if name.startswith('holdover.')}
print(*sorted(rooms))
"""


def test_importing_the_package_loads_msgspec_and_the_standard_library_alone() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    others, rooms = done.stdout.splitlines()
    assert others == ""
    assert set(rooms.split()) == {"holdover.client", "holdover.errors", "holdover.settings", "holdover.wire"}


@pytest.mark.parametrize("module", ["asyncio", "ssl", "http.client", "sqlite3", "urllib.request"])
def test_importing_the_package_leaves_slow_modules_for_when_they_are_needed(module: str) -> None:
    program = f"import sys, holdover; sys.exit('{module}' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
