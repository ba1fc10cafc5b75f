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
        "worker": False,
        "max_runs": 7,
        "model_base_url": "http://127.0.0.1:9/v1",
        "model_api_key": "sk-four",
        "model_timeout_s": 3.0,
        "default_model": "llama",
        "run_lifetime_s": 60.0,
        "lease_s": 4.0,
        "embedder": "endpoint",
        "embedding_base_url": "http://127.0.0.1:10/v1",
        "embedding_api_key": "sk-five",
        "embedding_model": "ada",
        "embedding_dimensions": 256,
        "embedding_max_tokens": 512,
        "reranker_base_url": "http://127.0.0.1:11",
        "reranker_api_key": "sk-six",
        "reranker_model": "rr",
        "search_cache_mb": 64,
        "file_readers": 1,
        "sandbox": "remote",
        "sandbox_min_level": "vm",
        "sandbox_remote": "unix:/run/sandbox.sock",
        "sandbox_secret": "sixteen or more characters",
        "sandbox_sessions": 3,
        "sandbox_idle_s": 60.0,
        "sandbox_timeout_s": 5.0,
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
        *("--embedder", "endpoint", "--embedding-base-url", "http://127.0.0.1:10/v1", "--embedding-api-key", "sk-five"),
        *("--embedding-model", "ada", "--embedding-dimensions", "256", "--embedding-max-tokens", "512"),
        *("--reranker-base-url", "http://127.0.0.1:11", "--reranker-api-key", "sk-six", "--reranker-model", "rr"),
        *("--search-cache-mb", "64", "--file-readers", "1"),
        *("--files-url", str(tmp_path / "files"), "--files-access-key-id", "key"),
        *("--files-secret-access-key", "secret", "--files-session-token", "token"),
        *("--api-key", "sk-one", "--api-key", "sk-two,sk-three", "--allowed-host", "box.local"),
        *("--log-level", "DEBUG", "--drain-s", "2.5", "--max-runs", "7", "--run-lifetime-s", "60", "--lease-s", "4"),
        *("--sandbox", "remote", "--sandbox-min-level", "VM", "--sandbox-remote", "unix:/run/sandbox.sock"),
        *("--sandbox-secret", "sixteen or more characters", "--sandbox-sessions", "3"),
        *("--sandbox-idle-s", "60", "--sandbox-timeout-s", "5"),
        *("--model-base-url", "http://127.0.0.1:9/v1/", "--model-api-key", "sk-four", "--model-timeout-s", "3"),
        *("--default-model", "llama", "--no-worker"),
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


def test_what_is_shown_of_a_database_has_no_password(invoke: Any, served: list[ServiceSettings]) -> None:
    for url in (
        "postgresql://me:hunter2@db/x",
        "postgresql://me:hunt/er2@db@e/x",
        "postgresql://db/x?password=hunter2",
    ):
        shown = invoke("serve", "--database", url).stderr + invoke("worker", "--database", url).stderr
        assert "postgresql://" in shown
        assert "er2" not in shown
    assert served[0].database_url == "postgresql://me:hunter2@db/x"


def test_a_worker_takes_the_settings_of_services_but_those_of_a_port(
    invoke: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[ServiceSettings] = []
    monkeypatch.setattr(holdover.service, "work", lambda settings, *, on_ready: (found.append(settings), on_ready()))
    shared = {"HOLDOVER_WORKER": "false", "HOLDOVER_HOST": "0.0.0.0", "HOLDOVER_LEASE_S": "3"}
    result = invoke("worker", "--database", "postgresql://db/x", "--max-runs", "7", env=shared)
    assert (found[0].database_url, found[0].max_runs, found[0].lease_s) == ("postgresql://db/x", 7, 3.0)
    assert "works for postgresql://db/x" in result.stderr
    for flag in ("--port=1", "--host=::1", "--api-key=sk", "--no-worker"):
        assert invoke("worker", flag).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "part"),
    [(["worker"], "serves one process: holdover serve drives its runs itself"),
     (["serve", "--no-worker"], "Nobody would drive the runs of")],
)  # fmt: skip
def test_a_sqlite_file_is_one_process_s_that_works(
    invoke: Any, tmp_path: Path, arguments: list[str], part: str
) -> None:
    path = tmp_path / "a.db"
    result = invoke(*arguments, "--database", str(path))
    assert result.exit_code == 1
    assert part in result.stderr
    assert str(path) in result.stderr
    assert not path.exists()


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
        ([], {"HOLDOVER_WORKER": "perhaps"}, "HOLDOVER_WORKER: 'perhaps' is not a worker: one of true, yes, on"),
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
