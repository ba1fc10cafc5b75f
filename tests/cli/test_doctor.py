"""What the doctor finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from holdover import service
from holdover.settings import CLIENT_SETTINGS, SERVICE_SETTINGS


def checks(result: Any) -> dict[str, dict[str, str | None]]:
    """What was found, by check; the exit code must say the same."""
    found = {each["check"]: each for each in json.loads(result.stdout)["checks"]}
    assert result.exit_code == any(each["remedy"] for each in found.values())
    return found


def needs_attention(result: Any) -> set[str]:
    return {name for name, each in checks(result).items() if each["remedy"]}


def test_every_setting_is_shown_with_its_origin(holdover: Any, shared_url: str, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("drain_s = 3\n")
    result = holdover(
        *("doctor", "--config", str(tmp_path / "settings.toml"), "--organization-key", "org-1"),
        env={"OPENAI_API_KEY": "sk-that-nobody-may-see", "HOLDOVER_API_KEYS": "sk-short"},
    )
    shown = {each["name"]: (each["value"], each["origin"]) for each in json.loads(result.stdout)["settings"]}
    assert set(shown) == {setting.name for setting in (*CLIENT_SETTINGS, *SERVICE_SETTINGS)}
    assert shown["base_url"] == (shared_url, "OPENAI_BASE_URL")
    assert shown["organization_key"] == ("org-1", "--organization-key")
    assert shown["drain_s"] == ("3.0", str(tmp_path / "settings.toml"))
    assert shown["port"] == ("8026", "default")
    assert shown["project"] == (None, "default")
    assert "sk-that-nobody-may-see" not in result.output
    assert "sk-short" not in result.output


def test_all_is_well_beside_a_service(holdover: Any) -> None:
    found = checks(holdover("doctor", env={"HOLDOVER_DEFAULT_MODEL": "scripted"}))
    assert list(found) == ["python", "packages", "service", "key", "data", "database", "models", "sandbox"]
    assert {each["remedy"] for each in found.values()} == {None}


def test_who_answers_is_told(holdover: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.models, "is_available", lambda data_dir: False)
    nobody = checks(holdover("doctor"))["models"]
    assert nobody["finding"] == "Nobody answers for 'gpt-4o', nor for other names that are not set up."
    assert "holdover models pull" in str(nobody["remedy"])
    upstream = {"HOLDOVER_MODEL_BASE_URL": "http://127.0.0.1:11434/v1"}
    finding = checks(holdover("doctor", env=upstream))["models"]["finding"]
    assert finding == "'gpt-4o' is answered by 'gpt-4o' of http://127.0.0.1:11434/v1."
    monkeypatch.setattr(service.models, "is_available", lambda data_dir: True)
    assert checks(holdover("doctor"))["models"]["finding"] == "'gpt-4o' is answered by 'local' of this service."


def test_the_models_of_another_machine_are_none_of_its_business(invoke: Any) -> None:
    assert "models" not in checks(invoke("doctor", "--base-url", "http://models.invalid/v1"))


def test_nothing_is_made_by_looking(holdover: Any, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    holdover("doctor")
    assert sorted(tmp_path.iterdir()) == before


def test_a_database_that_the_service_has_open_is_well(invoke: Any, service: Any) -> None:
    environment = {"OPENAI_BASE_URL": service.base_url, "HOLDOVER_DATABASE_URL": str(service.database)}
    assert needs_attention(invoke("doctor", env=environment)) == set()


def test_what_is_wrong_is_told_with_its_remedy(invoke: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("This is not a database, though its name says so. " * 100)
    result = invoke(
        "doctor",
        env={
            "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
            "HOLDOVER_DATA_DIR": "/proc/nowhere",
            "HOLDOVER_DATABASE_URL": str(tmp_path / "notes.db"),
        },
    )
    assert needs_attention(result) == {"service", "data", "database"}
    assert "holdover serve" in str(checks(result)["service"]["remedy"])


@pytest.mark.parametrize(
    ("environment", "check", "part"),
    [
        ({"OPENAI_BASE_URL": "https://api.openai.com/v1"}, "address", "ended on 2026-08-26"),
        ({"OPENAI_BASE_URL": "127.0.0.1"}, "settings", "is not the address of a service"),
        ({"OPENAI_API_KEY": "sk-abc\n"}, "settings", "api_key has a character"),
        ({"HOLDOVER_PORT": "abc"}, "settings", "'abc' is not a port"),
    ],
)
def test_a_setting_that_cannot_work_is_named(holdover: Any, environment: dict[str, str], check: str, part: str) -> None:
    found = checks(holdover("doctor", env=environment))
    assert part in str(found[check]["finding"])
    assert found[check]["remedy"]


def test_a_key_that_the_service_does_not_know_is_found(start_service: Any, invoke: Any) -> None:
    url = start_service(api_keys=["sk-known-to-the-service"]).base_url
    assert needs_attention(invoke("doctor", "--base-url", url)) == {"key"}
    assert needs_attention(invoke("doctor", "--base-url", url, "--api-key", "sk-known-to-the-service")) == set()


def test_something_else_that_listens_is_found(holdover: Any, shared_url: str) -> None:
    assert needs_attention(holdover("doctor", "--base-url", f"{shared_url}/models/v1")) == {"service"}


def test_a_terminal_gets_tables(shared_url: str, terminal: Any) -> None:
    code, shown = terminal("doctor", "--base-url", shared_url)
    assert code == 0
    assert all(word in shown.splitlines()[0] for word in ("SETTING", "OF", "VALUE", "FROM"))
    assert shown.endswith("All is well.\n")
    code, shown = terminal("doctor", "--base-url", "http://127.0.0.1:1/v1")
    assert code == 1
    assert "WHAT TO DO" in shown
