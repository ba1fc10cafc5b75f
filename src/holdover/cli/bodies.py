"""The options that a request's body is made of, as far as nouns share them: metadata, tool resources, nulls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, get_args, get_type_hints

import click

from .connection import Decorator
from .values import JSON, Pair

takes_metadata: Decorator = click.option(
    "--metadata", type=Pair(), multiple=True, help="Kept with it; may be repeated."
)
takes_tool_resources: Decorator = click.option(
    "--tool-resources", type=JSON(dict), help="Files and vector stores that its tools work on."
)


def nullable(record: Any) -> tuple[str, ...]:
    """Return the members of a modification that ``null`` puts back to their default."""
    return tuple(name for name, hint in get_type_hints(record).items() if NoneType in get_args(hint))


def takes_nulls(record: Any) -> Decorator:
    """Give a command ``--null`` for the members of a modification."""
    names = nullable(record)
    return click.option(
        "--null",
        "nulls",
        type=click.Choice(names),
        metavar="FIELD",
        multiple=True,
        help="Put this field back to its default"
        + (f"; may be repeated. One of {', '.join(names)}." if len(names) > 1 else f": {names[0]}."),
    )


def takes(options: tuple[Decorator, ...]) -> Decorator:
    """Give a command options, in their order."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def content(*, metadata: tuple[tuple[str, str], ...] = (), **fields: Any) -> dict[str, Any]:
    """Return the options of a call from those of a command; what was not given is left out."""
    given = {name: value for name, value in fields.items() if value is not None}
    if metadata:
        given["metadata"] = dict(metadata)
        if len(given["metadata"]) != len(metadata):
            raise click.BadOptionUsage("metadata", "A key is given twice to --metadata.", click.get_current_context())
    return given


def changes(given: Mapping[str, Any], nulls: tuple[str, ...]) -> dict[str, Any]:
    """Return the options of a modification: values and nulls, at least one, and no field with both."""
    if twice := [name for name in nulls if name in given]:
        raise click.UsageError(f"{twice[0]} cannot have a value and be null.", click.get_current_context())
    if not given and not nulls:
        raise click.UsageError("There is nothing to change; give an option.", click.get_current_context())
    return {**given, **dict.fromkeys(nulls)}
