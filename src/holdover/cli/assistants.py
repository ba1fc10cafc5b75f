"""``holdover assistants``: one command for each operation on assistants."""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import click

from holdover.wire.assistants import ModifyAssistant, ReasoningEffort
from holdover.wire.models import KNOWN_MODELS
from holdover.wire.pages import MAX_LIMIT, Order

from .connection import Decorator, calls
from .deletion import delete_each
from .groups import Group
from .output import moment, shows, write_fields, write_hint, write_json, write_table
from .values import JSON, Pair, ResponseFormat, Text

if TYPE_CHECKING:
    from holdover.client import Client
    from holdover.wire.assistants import Assistant

#: What ``null`` puts back to its default.
NULLABLE = tuple(name for name, hint in get_type_hints(ModifyAssistant).items() if NoneType in get_args(hint))


@click.group(cls=Group)
def assistants() -> None:
    """Make, see, change and delete assistants.

    \b
    holdover assistants create gpt-4o --name Tutor --tool code_interpreter
    holdover assistants list
    holdover assistants modify asst_… --temperature 0.2
    """


def _complete_model(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in KNOWN_MODELS if name.startswith(incomplete)]


_FIELDS: tuple[Decorator, ...] = (
    click.option("--name", help="Up to 256 characters."),
    click.option("--description", help="Up to 512 characters."),
    click.option(
        "--instructions", type=Text(), help="What it is told before every conversation; up to 256,000 characters."
    ),
    click.option(
        "--tool",
        type=click.Choice(["code_interpreter", "file_search"]),
        multiple=True,
        help="A tool it may use; may be repeated.",
    ),
    click.option("--tools", type=JSON(list), help="All its tools, functions included."),
    click.option("--tool-resources", type=JSON(dict), help="Files and vector stores that its tools work on."),
    click.option("--temperature", type=float, help="0..2; higher is more random."),
    click.option("--top-p", type=float, help="0..1; lower keeps to the likeliest words."),
    click.option("--reasoning-effort", type=click.Choice(get_args(ReasoningEffort)), help="For reasoning models."),
    click.option(
        "--response-format",
        type=ResponseFormat(),
        metavar="auto|text|json_object|JSON|@FILE",
        help="What its answers must look like.",
    ),
    click.option("--metadata", type=Pair(), multiple=True, help="Kept with it; may be repeated."),
)


def _takes_fields(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_FIELDS):
        command = option(command)
    return command


def _content(*, tool: tuple[str, ...], metadata: tuple[tuple[str, str], ...], **fields: Any) -> dict[str, Any]:
    """Return the options of a call from those of a command; what was not given is left out."""
    content = {name: value for name, value in fields.items() if value is not None}
    if tool:
        content["tools"] = [*content.get("tools", ()), *({"type": each} for each in tool)]
    if metadata:
        content["metadata"] = dict(metadata)
        if len(content["metadata"]) != len(metadata):
            raise click.BadOptionUsage("metadata", "A key is given twice to --metadata.", click.get_current_context())
    return content


def _show(assistant: Assistant, as_json: bool) -> None:
    if as_json:
        write_json(assistant)
        return
    fields = assistant.to_dict()
    del fields["object"]
    write_fields(fields | {"created_at": moment(assistant.created_at)})


@assistants.command("list")
@click.option("--after", metavar="ID", help="Begin behind this assistant.")
@click.option("--before", metavar="ID", help="End in front of this assistant.")
@click.option("--order", type=click.Choice(get_args(Order)), help="By creation.  [default: desc]")
@click.option(
    "--limit", type=click.IntRange(1, MAX_LIMIT), help="How many at most; with --all, how many are fetched at once."
)
@click.option("--all", "is_all", is_flag=True, help="All pages; as JSON, one assistant a line.")
@calls
@shows
def list_(client: Client, *, is_all: bool, limit: int | None, as_json: bool, **options: Any) -> None:
    """List assistants, newest first.

    \b
    holdover assistants list
    holdover assistants list --limit 5 --order asc
    holdover assistants list --all | jq -r .id
    """
    page = client.list_assistants(limit=limit or (MAX_LIMIT if is_all else None), **options)
    if as_json and is_all:
        for each in page.all_pages():
            write_json(each)
    elif as_json:
        write_json(page.to_dict())
    else:
        _write_table(list(page.all_pages()) if is_all else page.data)
        if page.has_more and not is_all:
            write_hint("There are more: add --all.")


def _write_table(found: list[Assistant]) -> None:
    if not found:
        write_hint("No assistants. To make one: holdover assistants create gpt-4o --name Tutor")
        return
    write_table(
        ("ID", "NAME", "MODEL", "CREATED"),
        ((each.id, each.name, each.model, moment(each.created_at)) for each in found),
    )


@assistants.command("show")
@click.argument("assistant_id")
@calls
@shows
def show(client: Client, *, assistant_id: str, as_json: bool) -> None:
    """Show an assistant.

    \b
    holdover assistants show asst_…
    holdover assistants show asst_… | jq -r .instructions
    """
    _show(client.get_assistant(assistant_id), as_json)


@assistants.command("create")
@click.argument("model", shell_complete=_complete_model)
@_takes_fields
@calls
@shows
def create(client: Client, *, model: str, as_json: bool, **options: Any) -> None:
    """Create an assistant.

    \b
    holdover assistants create gpt-4o --name Tutor --instructions @tutor.md
    holdover assistants create gpt-4o --tool file_search --metadata team=maths

    Where a value may be @FILE, it is read from there; @- is standard input, and @@ begins a text with @.
    """
    _show(client.create_assistant(model, **_content(**options)), as_json)


@assistants.command("modify")
@click.argument("assistant_id")
@click.option("--model", shell_complete=_complete_model, help="The model that answers.")
@_takes_fields
@click.option(
    "--null",
    "nulls",
    type=click.Choice(NULLABLE),
    metavar="FIELD",
    multiple=True,
    help=f"Put this field back to its default; may be repeated. One of {', '.join(NULLABLE)}.",
)
@calls
@shows
def modify(client: Client, *, assistant_id: str, nulls: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Modify an assistant; what is left out keeps its value.

    \b
    holdover assistants modify asst_… --model gpt-4.1 --temperature 0.2
    holdover assistants modify asst_… --null description --tools '[]'

    Tools and metadata are replaced whole. Where a value may be @FILE, it is read from there.
    """
    content = _content(**options)
    if twice := [name for name in nulls if name in content]:
        raise click.UsageError(f"{twice[0]} cannot have a value and be null.", click.get_current_context())
    if not content and not nulls:
        raise click.UsageError("There is nothing to change; give an option.", click.get_current_context())
    _show(client.modify_assistant(assistant_id, **content | dict.fromkeys(nulls)), as_json)


@assistants.command("delete")
@click.argument("assistant_ids", metavar="ASSISTANT_ID...", nargs=-1, required=True)
@calls
@shows
def delete(client: Client, *, assistant_ids: tuple[str, ...], as_json: bool) -> None:
    """Delete assistants, for good and without asking.

    \b
    holdover assistants delete asst_…
    holdover assistants list --all | jq -r .id | xargs holdover assistants delete
    """
    delete_each(assistant_ids, client.delete_assistant, as_json)
