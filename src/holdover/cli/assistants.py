"""``holdover assistants``: one command for each operation on assistants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import click

from holdover.wire.assistants import ModifyAssistant, ReasoningEffort
from holdover.wire.models import KNOWN_MODELS

from .bodies import changes, content, takes, takes_metadata, takes_nulls, takes_tool_resources
from .connection import calls
from .deletion import delete_each
from .groups import Group
from .output import moment, shows, write_object
from .pages import takes_page, write_page
from .values import JSON, ResponseFormat, Text

if TYPE_CHECKING:
    from holdover.client import Client
    from holdover.wire.assistants import Assistant


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


_takes_fields = takes(
    (
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
        takes_tool_resources,
        click.option("--temperature", type=float, help="0..2; higher is more random."),
        click.option("--top-p", type=float, help="0..1; lower keeps to the likeliest words."),
        click.option("--reasoning-effort", type=click.Choice(get_args(ReasoningEffort)), help="For reasoning models."),
        click.option(
            "--response-format",
            type=ResponseFormat(),
            metavar="auto|text|json_object|JSON|@FILE",
            help="What its answers must look like.",
        ),
        takes_metadata,
    )
)


def _content(*, tool: tuple[str, ...], **fields: Any) -> dict[str, Any]:
    given = content(**fields)
    if tool:
        given["tools"] = [*given.get("tools", ()), *({"type": each} for each in tool)]
    return given


@assistants.command("list")
@takes_page("assistant")
@calls
@shows
def list_(client: Client, **options: Any) -> None:
    """List assistants, newest first.

    \b
    holdover assistants list
    holdover assistants list --limit 5 --order asc
    holdover assistants list --all | jq -r .id
    """
    write_page(
        client.list_assistants,
        ("ID", "NAME", "MODEL", "CREATED"),
        lambda each: (each.id, each.name, each.model, moment(each.created_at)),
        nothing="No assistants. To make one: holdover assistants create gpt-4o --name Tutor",
        **options,
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
    write_object(client.get_assistant(assistant_id), as_json)


@assistants.command("create")
@click.argument("model", shell_complete=_complete_model)
@click.option(
    "--file",
    "paths",
    metavar="FILE",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    help="A file of this machine that it searches, or works on with its code; may be repeated.",
)
@_takes_fields
@calls
@shows
def create(client: Client, *, model: str, paths: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Create an assistant.

    \b
    holdover assistants create gpt-4o --name Tutor --instructions @tutor.md
    holdover assistants create gpt-4o --tool file_search --file handbook.pdf

    Where a value may be @FILE, it is read from there; @- is standard input, and @@ begins a text with @.
    """
    given = _content(**options)
    if paths:
        _give_files(client, given, paths)
    assistant = client.create_assistant(model, **given)
    if paths:
        _wait_for_files(client, assistant)
    write_object(assistant, as_json)


def _give_files(client: Client, given: dict[str, Any], paths: tuple[str, ...]) -> None:
    """Upload files and give them to the assistant's tools: to search, to its code, or both."""
    from .vector_stores import uploaded

    tools = {each.get("type") for each in given.get("tools", ())} & {"file_search", "code_interpreter"}
    if not tools:
        raise click.UsageError("--file is for --tool file_search or --tool code_interpreter.")
    resources = dict(given.get("tool_resources", {}))
    if taken := tools & resources.keys():
        raise click.UsageError(f"--file and --tool-resources both say what {min(taken)} works on.")
    ids = uploaded(client, paths)
    if "file_search" in tools:
        resources["file_search"] = {"vector_stores": [{"file_ids": ids}]}
    if "code_interpreter" in tools:
        resources["code_interpreter"] = {"file_ids": ids}
    given["tool_resources"] = resources


def _wait_for_files(client: Client, assistant: Assistant) -> None:
    from .vector_stores import indexed

    resources = assistant.tool_resources
    search = resources.file_search if resources else None
    for store_id in (search.vector_store_ids or ()) if search else ():
        indexed(client, store_id, waits=True)


@assistants.command("modify")
@click.argument("assistant_id")
@click.option("--model", shell_complete=_complete_model, help="The model that answers.")
@_takes_fields
@takes_nulls(ModifyAssistant)
@calls
@shows
def modify(client: Client, *, assistant_id: str, nulls: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Modify an assistant; what is left out keeps its value.

    \b
    holdover assistants modify asst_… --model gpt-4.1 --temperature 0.2
    holdover assistants modify asst_… --null description --tools '[]'

    Tools and metadata are replaced whole. Where a value may be @FILE, it is read from there.
    """
    write_object(client.modify_assistant(assistant_id, **changes(_content(**options), nulls)), as_json)


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
