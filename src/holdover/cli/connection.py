"""The options of every call, and the client made of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from holdover.settings import CLIENT_SETTINGS, DEFAULT_TIMEOUT_S

Decorator = Callable[[Callable[..., None]], Callable[..., None]]

_SETTINGS = {setting.name: setting for setting in CLIENT_SETTINGS}


def _from_settings(name: str, metavar: str) -> Decorator:
    setting = _SETTINGS[name]
    return click.option(
        f"--{name.replace('_', '-')}",
        metavar=metavar,
        help=f"{setting.summary}  [{', '.join(setting.environment)}]",
    )


_CLIENT_OPTIONS: tuple[Decorator, ...] = (
    _from_settings("base_url", "URL"),
    _from_settings("api_key", "KEY"),
    _from_settings("organization_key", "KEY"),
    click.option(
        "--timeout-s",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        show_default=f"{DEFAULT_TIMEOUT_S:g}",
        help="Longest wait for one answer.",
    ),
)


def takes_client_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that every call takes."""
    for option in reversed(_CLIENT_OPTIONS):
        command = option(command)
    return command


def calls(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of every call; it receives the client made of them as its first argument."""

    @wraps(command)
    def call(
        base_url: str | None,
        api_key: str | None,
        organization_key: str | None,
        timeout_s: float | None,
        **options: Any,
    ) -> None:
        from holdover.client import Client

        with Client(
            base_url=base_url, api_key=api_key, organization_key=organization_key, timeout_s=timeout_s
        ) as client:
            command(client, **options)

    return takes_client_options(call)
