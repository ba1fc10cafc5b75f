"""How flags become settings, and what is shown once the service listens."""

from __future__ import annotations

import threading
import webbrowser
from pathlib import Path
from typing import Any

import pytest

import holdover.service
from holdover.settings import SERVICE_SETTINGS, ServiceSettings


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[ServiceSettings]:
    """The settings that a service was started with; none is really started."""
    found: list[ServiceSettings] = []

    def serve(settings: ServiceSettings, *, on_ready: Any) -> None:
        found.append(settings)
        on_ready("http://127.0.0.1:8026")

    monkeypatch.setattr(holdover.service, "serve", serve)
    return found


def test_every_setting_has_a_flag(invoke: Any, served: list[ServiceSettings], tmp_path: Path) -> None:
    given = {
        "host": "::1",
        "port": 9000,
        "data_dir": str(tmp_path),
        "database_url": str(tmp_path / "a.db"),
        "files_url": str(tmp_path / "files"),
        "files_access_key_id": "key",
        "files_secret_access_key": "secret",
        "files_session_token": "token",
        "api_keys": ("sk-one", "sk-two", "sk-three"),
        "allowed_hosts": ("box.local",),
        "log_level": "debug",
        "drain_s": 2.5,
        "max_runs": 7,
        "model_base_url": "http://127.0.0.1:9/v1",
        "model_api_key": "sk-four",
        "model_timeout_s": 3.0,
        "default_model": "llama",
        "run_lifetime_s": 60.0,
        "lease_s": 4.0,
    }
    assert {setting.name for setting in SERVICE_SETTINGS if not setting.is_table} == set(given)
    result = invoke(
        *(
            "serve",
            "--host",
            "::1",
            "--port",
            "9000",
            "--data-dir",
            str(tmp_path),
            "--database",
            str(tmp_path / "a.db"),
        ),
        *("--files-url", str(tmp_path / "files"), "--files-access-key-id", "key"),
        *("--files-secret-access-key", "secret", "--files-session-token", "token"),
        *("--api-key", "sk-one", "--api-key", "sk-two,sk-three", "--allowed-host", "box.local"),
        *("--log-level", "DEBUG", "--drain-s", "2.5", "--max-runs", "7", "--run-lifetime-s", "60", "--lease-s", "4"),
        *("--model-base-url", "http://127.0.0.1:9/v1/", "--model-api-key", "sk-four", "--model-timeout-s", "3"),
        *("--default-model", "llama"),
    )
    assert result.exit_code == 0
    assert served == [ServiceSettings(**given)]  # type: ignore[arg-type]
    assert "sk-" not in result.output


def test_flags_beat_the_environment_which_beats_the_file(
    invoke: Any, served: list[ServiceSettings], tmp_path: Path
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('port = 1\nhost = "127.0.0.3"\nlog_level = "error"\n')
    invoke(
        *("serve", "--port", "3", "--config", str(file)),
        env={"HOLDOVER_PORT": "2", "HOLDOVER_HOST": "127.0.0.2"},
    )
    assert [(each.port, each.host, each.log_level) for each in served] == [(3, "127.0.0.2", "error")]


def test_the_greeting_says_who_is_let_in(invoke: Any, served: list[ServiceSettings]) -> None:
    assert "no key is needed" in invoke("serve").stderr
    assert "callers need a key (1 known)" in invoke("serve", "--api-key", "sk-one").stderr


def test_open_shows_the_reference(invoke: Any, served: list[ServiceSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    opened, pages = threading.Event(), []

    def open_page(page: str) -> bool:
        pages.append(page)
        opened.set()
        return True

    monkeypatch.setattr(webbrowser, "open", open_page)
    invoke("serve", "--open")
    assert opened.wait(20)
    assert pages == ["http://127.0.0.1:8026/reference"]


@pytest.mark.parametrize(
    ("arguments", "environment", "part"),
    [
        (["--config", "/nowhere.toml"], {}, "There is no settings file /nowhere.toml."),
        ([], {"HOLDOVER_PORT": "abc"}, "HOLDOVER_PORT: 'abc' is not a port"),
        (["--host", "0.0.0.0"], {}, "callers must have keys"),
    ],
)
def test_a_service_that_must_not_start_says_why(
    invoke: Any, arguments: list[str], environment: dict[str, str], part: str
) -> None:
    result = invoke("serve", *arguments, env=environment)
    assert result.exit_code == 1
    assert part in result.stderr
    assert result.stderr.count("\n") == 1
