"""How lists are asked for and shown: one page, or all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from holdover.wire.pages import MAX_LIMIT, Order

from .bodies import takes
from .connection import Decorator
from .output import write_hint, write_json, write_table

if TYPE_CHECKING:
    from holdover.client.pages import Page

T = TypeVar("T")


def takes_page(noun: str) -> Decorator:
    """Give a command the options of a list."""
    return takes(
        (
            click.option("--after", metavar="ID", help=f"Begin behind this {noun}."),
            click.option("--before", metavar="ID", help=f"End in front of this {noun}."),
            click.option("--order", type=click.Choice(get_args(Order)), help="By creation.  [default: desc]"),
            click.option(
                "--limit",
                type=click.IntRange(1, MAX_LIMIT),
                help="How many at most; with --all, how many are fetched at once.",
            ),
            click.option("--all", "is_all", is_flag=True, help=f"All pages; as JSON, one {noun} a line."),
        )
    )


def write_page(
    fetch: Callable[..., Page[T]],
    columns: Sequence[str],
    row: Callable[[T], Sequence[Any]],
    *,
    nothing: str,
    is_all: bool,
    limit: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Fetch a page, or all of them, and write it; ``nothing`` is the hint for a person where there is none."""
    page = fetch(limit=limit or (MAX_LIMIT if is_all else None), **options)
    if as_json and is_all:
        for each in page.all_pages():
            write_json(each)
    elif as_json:
        write_json(page.to_dict())
    elif found := list(page.all_pages()) if is_all else page.data:
        write_table(columns, map(row, found))
        if page.has_more and not is_all:
            write_hint("There are more: add --all.")
    else:
        write_hint(nothing)
