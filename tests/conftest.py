"""What all tests share: a clean environment, and real services on loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

#: Variables that would steer a client or a service under test.
STEERING = ("OPENAI_", "HOLDOVER_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE")

# What was started in the background of a script may have been told to ignore Ctrl-C, and would hand that down.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_SERVE = """
import sys
from holdover.service import serve
from holdover.settings import load_service_settings, resolve_service
import json
settings = load_service_settings(resolve_service(json.loads(sys.argv[1])))
serve(settings, on_ready=lambda url: print(url, flush=True))
"""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take away what the machine's user has set, and give settings files and data a place of their own."""
    for name in list(os.environ):
        if name.upper().startswith(STEERING):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


class Service:
    """A service in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], url: str, database: Path, log: Path) -> None:
        self.process = process
        self.url = url
        self.base_url = f"{url}/v1"
        self.database = database
        self.log = log

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stop(self) -> int:
        """Ask it to stop and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait(20)


@contextmanager
def running_service(folder: Path, **flags: object) -> Iterator[Service]:
    """Run a service on a free port with a database in ``folder``; what it prints goes to a file beside it."""
    import json

    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "holdover.db"
    log = folder / "service.log"
    settings = {
        "port": 0,
        "database_url": str(database),
        "data_dir": str(folder),
        "log_level": "warning",
        "aliases": {"*": "scripted"},  # whatever model is named says what the test tells it to
        **flags,
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith(STEERING)}
    with log.open("a") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, json.dumps(settings)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url, f"the service did not start: {log.read_text()}"
        yield Service(process, url, database, log)
    finally:
        process.kill()
        process.wait(20)
        process.stdout.close()


@pytest.fixture(scope="session")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that all tests of a process share: none may count on what is in it."""
    with running_service(tmp_path_factory.mktemp("shared")) as service:
        yield service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service for one test, with an empty database."""
    with running_service(tmp_path / "service") as service:
        yield service


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start services with settings of the test's choice."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def start(folder: Path | None = None, **flags: object) -> Service:
            return stack.enter_context(running_service(folder or tmp_path / "service", **flags))

        yield start


@pytest.fixture
def service_url(service: Service) -> str:
    """The base URL of a service for one test."""
    return service.base_url


@pytest.fixture(scope="session")
def shared_url(shared_service: Service) -> str:
    """The base URL of the shared service."""
    return shared_service.base_url
