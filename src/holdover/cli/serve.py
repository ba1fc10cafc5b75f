"""``holdover serve`` and ``worker``: settings become a running process. Only they know `holdover.service`."""

from __future__ import annotations

import threading
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from holdover import __version__
from holdover.settings import (
    FILE_VARIABLE,
    SERVICE_SETTINGS,
    Resolved,
    ServiceSettings,
    Setting,
    load_service_settings,
    resolve_service,
    without_password,
)

from .connection import Decorator
from .output import write_hint

#: Flags that are not simply called as their setting: one value of several is given at a time.
FLAGS: dict[str, tuple[str, ...]] = {
    "database_url": ("--database", "--database-url"),
    "api_keys": ("--api-key", "--api-keys"),
    "allowed_hosts": ("--allowed-host", "--allowed-hosts"),
}


#: What a worker, which listens to no port, has no use for.
OF_SERVICES_ONLY = ("host", "port", "api_keys", "allowed_hosts", "worker")


class SettingValue(click.ParamType[Any]):
    """A setting's value, read as the setting itself reads it."""

    def __init__(self, setting: Setting[Any]) -> None:
        self.name = setting.name
        self._setting = setting

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._setting.parse(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


def _flag(setting: Setting[Any]) -> Decorator:
    names = FLAGS.get(setting.name, (f"--{setting.name.replace('_', '-')}",))
    default = "" if callable(setting.default) or not setting.default else f"; default: {setting.default}"
    if isinstance(setting.default, bool):
        return click.option(
            f"{names[0]}/--no-{names[0].lstrip('-')}",
            setting.name,
            default=None,
            help=f"{setting.summary}  [{', '.join(setting.environment)}{default.lower()}]",
        )
    return click.option(
        *names,
        setting.name,
        type=SettingValue(setting),
        metavar=names[0].lstrip("-").replace("-", "_").upper(),
        multiple=setting.default == (),
        help=f"{setting.summary}  [{', '.join(setting.environment)}{default}]",
    )


def _takes_settings(*, without: Sequence[str] = ()) -> Decorator:
    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        command = click.option("--config", metavar="FILE", help=f"A TOML file of settings.  [{FILE_VARIABLE}]")(command)
        for setting in reversed([each for each in SERVICE_SETTINGS if not each.is_table and each.name not in without]):
            command = _flag(setting)(command)
        return command

    return decorate


@click.command()
@_takes_settings()
@click.option("--open", "opens", is_flag=True, help="Open the reference in a browser.")
def serve(config: str | None, opens: bool, **flags: Any) -> None:
    """Start the service.

    \b
    holdover serve
    holdover serve --port 9000 --database ./assistants.db
    holdover serve --host 0.0.0.0 --api-key "$KEY"

    Flags beat the environment, the environment beats the file, the file beats the defaults.
    """
    from holdover import service

    settings = _settings(flags, config)

    def on_ready(url: str) -> None:
        _greet(settings, url)
        if opens:
            _open(f"{url}/reference")

    service.serve(settings, on_ready=on_ready)


@click.command()
@_takes_settings(without=OF_SERVICES_ONLY)
def worker(config: str | None, **flags: Any) -> None:
    """Drive the runs that services of one PostgreSQL database take.

    \b
    holdover worker --database postgresql://user@host/holdover

    It listens to no port. Start as many as needed, on any machine, with the settings of the services; told to stop
    (SIGTERM), it finishes what it can in drain_s seconds and gives the rest back.
    """
    from holdover import service

    settings = _settings(flags, config)
    shown = without_password(settings.database_url)
    service.work(settings, on_ready=lambda: write_hint(f"Holdover {__version__} works for {shown}. Ctrl-C stops it."))


def _settings(flags: Mapping[str, Any], config: str | None) -> ServiceSettings:
    given = {name: _joined(value) if isinstance(value, tuple) else value for name, value in flags.items()}
    return load_service_settings(resolve_service(given, config=config))


def _joined(values: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    return tuple(each for value in values for each in value)


def _greet(settings: ServiceSettings, url: str) -> None:
    count = len(settings.api_keys)
    keys = f"callers need a key ({count} known)" if count else "open to this machine; no key is needed, any will do"
    write_hint(
        f"Holdover {__version__} is in office at {url}\n"
        f"\n"
        f"  Database   {without_password(settings.database_url)}\n"
        f"  Access     {keys}\n"
        f"  Your app   OPENAI_BASE_URL={url}/v1\n"
        f"  Reference  {url}/reference\n"
        f"\n"
        f"Ctrl-C stops it."
    )


def _open(page: str) -> None:
    # A browser of the terminal would keep the service waiting for its user.
    threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()


def inspect_database(url: str) -> str:
    """Return one sentence on a database.

    Raises:
        ConfigurationError: It cannot be used.
    """
    from holdover import service

    return service.inspect_database(url)


def inspect_models(settings: ServiceSettings) -> str:
    """Return one sentence on who answers.

    Raises:
        ConfigurationError: Nobody does, or a model cannot be used.
    """
    from holdover import service

    return service.inspect_models(settings)


def pull_weights(data_dir: str, source: str | None) -> tuple[str, bool, str | None]:
    """Put the weights of the local model into the data folder; see `holdover.service.pull_weights`."""
    from holdover import service

    return service.pull_weights(data_dir, source, output=2)


def inspect_sandbox(settings: Mapping[str, Resolved]) -> tuple[list[Any], str, str | None]:
    """Return what came of trying each sandbox, what code will run in, and what to do where it is nothing.

    A report has ``backend``, ``level``, ``passed``, and ``checks`` with ``name``, ``passed`` and ``detail``.
    """
    from holdover import service

    reports, told, remedy = service.inspect_sandbox(load_service_settings(settings))
    return list(reports), told, remedy


def prepare_sandbox(folder: str) -> str:
    """Install the sandbox's packages; return where they are.

    Raises:
        ConfigurationError: They cannot be installed.
    """
    from holdover import service

    return service.prepare_sandbox(folder)


def serve_sandbox(
    settings: Mapping[str, Resolved], address: str, level: str | None, on_ready: Callable[[str], None]
) -> None:
    """Run code for a service elsewhere, until told to stop.

    Raises:
        ConfigurationError: It cannot be done here; the message says what to change.
    """
    from holdover import service

    service.serve_sandbox(load_service_settings(settings), address, level, on_ready)
