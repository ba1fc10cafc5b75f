"""``holdover doctor``: every setting and where it came from, and whether all is well."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click
import msgspec

from holdover import __version__
from holdover.client import Client
from holdover.client.exchange import HOSTED
from holdover.errors import AuthenticationError, ConfigurationError, HoldoverError
from holdover.settings import (
    CLIENT_SETTINGS,
    DEFAULT_BASE_URL,
    Resolved,
    load_service_settings,
    resolve,
    resolve_service,
)

from . import exit_codes
from .connection import takes_client_options
from .output import shows, write_hint, write_json, write_table
from .serve import inspect_database, inspect_models, inspect_sandbox

#: Long enough for any service that is well.
TIMEOUT_S = 5.0
OLDEST_PYTHON = (3, 11)
#: What must be installed beside Holdover.
PACKAGES = ("msgspec", "httptools", "click", "rich", "uvicorn")

T = TypeVar("T")
Settings = Mapping[str, Resolved]

#: Hosts whose models are those of this machine's settings.
HERE = ("127.0.0.1", "localhost", "::1")
ANSWERING = "A small one on this machine: holdover models pull; or any endpoint: HOLDOVER_MODEL_BASE_URL."


class Finding(msgspec.Struct, frozen=True):
    """What a check found; ``remedy`` says what to do about it, ``None`` when all is well."""

    check: str
    finding: str
    remedy: str | None = None


@click.command()
@click.option("--config", metavar="FILE", help="The file of settings that is given to serve.")
@takes_client_options
@shows
def doctor(config: str | None, timeout_s: float | None, as_json: bool, **flags: str | None) -> None:
    """Show every setting and where it came from, and find what is wrong.

    \b
    holdover doctor
    holdover doctor --base-url http://gpu-box:8026/v1

    Ends with 1 when something needs attention.
    """
    findings = [*_check_installation()]
    client = resolve(CLIENT_SETTINGS, flags=flags)
    service: Settings = {}
    try:
        service = resolve_service({}, config=config)
    except ConfigurationError as error:
        findings.append(Finding("settings", str(error), "Correct it, or leave it out."))
    findings += _check_address(client, timeout_s or TIMEOUT_S)
    reports: list[Any] = []
    if service:
        findings += _check_data(service)
    if service and urlsplit(str(client["base_url"].value)).hostname in HERE:
        findings.append(Finding("models", *_look(inspect_models, load_service_settings(service), ANSWERING)))
        reports, told, remedy = inspect_sandbox(service)
        findings.append(Finding("sandbox", told, remedy))
    _show({"service": service, "client": client}, findings, reports, as_json)
    is_well = all(each.remedy is None for each in findings)
    click.get_current_context().exit(exit_codes.OK if is_well else exit_codes.FAILURE)


# --------------------------------------------------------------------------------------------- checks


def _check_installation() -> Iterator[Finding]:
    python = f"Python {platform.python_version()} at {sys.executable}"
    is_old = sys.version_info < OLDEST_PYTHON
    yield Finding("python", python, "Holdover needs Python 3.11 or newer." if is_old else None)
    versions = {name: _version(name) for name in PACKAGES}
    missing = [name for name, version in versions.items() if version is None]
    shown = ", ".join(f"{name} {version or '(missing)'}" for name, version in versions.items())
    remedy = f"Install what is missing: {sys.executable} -m pip install {' '.join(missing)}" if missing else None
    yield Finding("packages", f"holdover {__version__}, {shown}", remedy)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _check_address(settings: Settings, timeout_s: float) -> Iterator[Finding]:
    base_url = str(settings["base_url"].value)
    origin = settings["base_url"].origin
    if urlsplit(base_url).hostname == HOSTED:
        yield Finding(
            "address",
            f"{base_url} ({origin}) is the hosted service, where the Assistants API ended on 2026-08-26.",
            f"Set {origin} to the address of your own: {DEFAULT_BASE_URL}",
        )
        return
    try:
        yield from _call(base_url, settings["api_key"].value, timeout_s)
    except ConfigurationError as error:
        yield Finding("settings", str(error), "Correct it; above is where each value comes from.")
    except HoldoverError as error:
        yield Finding("service", str(error), "Start it with: holdover serve; or name another with OPENAI_BASE_URL.")


def _call(base_url: str, api_key: str | None, timeout_s: float) -> Iterator[Finding]:
    root = base_url.rstrip("/").removesuffix("/v1")
    with Client(base_url=root, timeout_s=timeout_s, max_retries=0) as client:
        answer = client.request("GET", "/health")
    if answer.status != 200:
        yield Finding(
            "service",
            f"{root}/health answered {answer.status}.",
            "Something else may be listening there: name another address with OPENAI_BASE_URL.",
        )
        return
    yield Finding("service", f"{root} answers.")
    with Client(base_url=base_url, api_key=api_key, timeout_s=timeout_s, max_retries=0) as client:
        try:
            client.list_models()
        except AuthenticationError as error:
            yield Finding("key", str(error), "Set OPENAI_API_KEY to a key that the service knows.")
        else:
            yield Finding("key", "The service takes it." if api_key else "The service asks for none.")


def _check_data(settings: Settings) -> Iterator[Finding]:
    folder = settings["data_dir"].value
    yield Finding("data", *_look(_check_folder, folder, "Choose another folder with HOLDOVER_DATA_DIR."))
    url = settings["database_url"].value
    yield Finding("database", *_look(inspect_database, url, "Choose another file with HOLDOVER_DATABASE_URL."))


def _look(check: Callable[[T], str], subject: T, remedy: str) -> tuple[str, str | None]:
    try:
        return check(subject), None
    except ConfigurationError as error:
        return str(error), remedy


def _check_folder(folder: str) -> str:
    existing = folder
    while not os.path.exists(existing) and os.path.dirname(existing) != existing:
        existing = os.path.dirname(existing)
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise ConfigurationError(f"{existing} cannot be written: {error.strerror}.") from error
    return f"{folder} can be written." if existing == folder else f"{folder} can be made."


# -------------------------------------------------------------------------------------------- showing


def _show(settings: Mapping[str, Settings], findings: list[Finding], reports: list[Any], as_json: bool) -> None:
    rows = [(side, each) for side, resolved in settings.items() for each in resolved.values()]
    if as_json:
        write_json(
            {
                "settings": [
                    {
                        "of": side,
                        "name": each.setting.name,
                        "value": None if each.value in (None, ()) else each.shown,
                        "origin": each.origin,
                    }
                    for side, each in rows
                ],
                "checks": findings,
                "sandboxes": reports,
            }
        )
        return
    write_table(
        ("SETTING", "OF", "VALUE", "FROM"), ((each.setting.name, side, each.shown, each.origin) for side, each in rows)
    )
    click.echo()
    write_table(("", ""), ((each.check, each.finding) for each in findings))
    click.echo()
    if reports:
        _show_attempts(reports)
        click.echo()
    remedies: list[Any] = [each for each in findings if each.remedy]
    if remedies:
        write_table(("NEEDS ATTENTION", "WHAT TO DO"), ((each.check, each.remedy) for each in remedies))
    else:
        write_hint("All is well.")


def _show_attempts(reports: list[Any]) -> None:
    """Show what code tried in each sandbox, a row an attempt."""
    names = dict.fromkeys(check.name for report in reports for check in report.checks)
    columns = [{check.name: _came_to(check) for check in report.checks} for report in reports]
    heads = (f"{report.backend}, {report.level}".upper() for report in reports)
    write_table(
        ("IN THE SANDBOX, CODE", *heads), ((name, *(each.get(name, "-") for each in columns)) for name in names)
    )


def _came_to(check: Any) -> str:
    is_attempt = check.name not in ("starts", "runs code")
    if check.passed:
        return "stopped" if is_attempt else "yes"
    return f"NOT STOPPED: {check.detail}" if is_attempt else f"no: {check.detail}"
