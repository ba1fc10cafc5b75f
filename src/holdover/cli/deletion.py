"""Deleting several objects in one command: one that cannot be deleted does not keep the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click

from holdover.errors import APIStatusError

from . import exit_codes
from .output import one_line, write_hint, write_json


def delete_each(names: Iterable[str], delete: Callable[[str], Any], as_json: bool) -> None:
    """Delete each object; the exit code is that of the gravest refusal."""
    code = exit_codes.OK
    for name in names:
        try:
            answer = delete(name)
        except APIStatusError as error:
            write_hint(f"holdover: {one_line(str(error))}")
            code = max(code, exit_codes.of_error(error))
        else:
            if as_json:
                write_json(answer)
            else:
                click.echo(f"Deleted {one_line(answer.id)}.")
    click.get_current_context().exit(code)
