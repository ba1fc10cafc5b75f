"""``holdover api``: any call, as it is."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import click

from . import exit_codes
from .connection import calls
from .output import write_bytes
from .values import Bytes, read_stdin

if TYPE_CHECKING:
    from holdover.client import Client

METHODS = ("GET", "POST", "DELETE", "PUT", "PATCH", "HEAD")
#: Methods whose body is read from standard input when ``--data`` is not given.
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


@click.command()
@click.argument("method", type=click.Choice(METHODS, case_sensitive=False), metavar="METHOD")
@click.argument("path")
@click.option("--data", type=Bytes(), help="The body.  [default: standard input, unless that is a terminal]")
@calls
def api(client: Client, *, method: str, path: str, data: bytes | None) -> None:
    """Make any call and print the answer.

    \b
    holdover api GET '/assistants?limit=2'
    holdover api POST /assistants --data '{"model": "gpt-4o"}'
    holdover api POST /assistants --data @assistant.json

    PATH is what follows the base URL; /v1 in front of it may be left out. An error's answer is printed as well,
    and tells in the exit code: 4 for one of 400 and more, 5 for one of 500 and more.
    """
    answer = client.request(method, _path(path), body=_piped(method) if data is None else data)
    if answer.body:
        write_bytes(answer.body, is_json="json" in (answer.headers.get("content-type") or ""))
    code = exit_codes.of_status(answer.status)
    if code != exit_codes.OK:
        click.echo(f"holdover: The service answered {answer.status}.", err=True)
    click.get_current_context().exit(code)


def _path(path: str) -> str:
    if "://" in path:
        raise click.UsageError(
            "PATH is the part of an address after /v1; the rest goes to --base-url.", click.get_current_context()
        )
    return re.sub(r"^/*v1(?=[/?]|$)", "", path)


def _piped(method: str) -> bytes | None:
    is_piped = sys.stdin is not None and not sys.stdin.isatty()
    return read_stdin() or None if method in WITH_BODY and is_piped else None
