"""``holdover threads``: one command for each operation on threads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from holdover.wire.threads import ModifyThread

from .bodies import changes, content, takes_metadata, takes_nulls, takes_tool_resources
from .connection import calls
from .deletion import delete_each
from .groups import Group
from .output import moment, shows, write_object
from .pages import takes_page, write_page
from .values import JSON, Pair, Text

if TYPE_CHECKING:
    from holdover.client import Client


@click.group(cls=Group)
def threads() -> None:
    """Make, see, change and delete threads.

    \b
    holdover threads create --message 'What is 2 + 2?'
    holdover threads list
    holdover messages list thread_…
    """


@threads.command("list")
@click.option("--metadata", type=Pair(), multiple=True, help="Only threads that have this pair; may be repeated.")
@takes_page("thread")
@calls
@shows
def list_(client: Client, metadata: tuple[tuple[str, str], ...], **options: Any) -> None:
    """List threads, newest first.

    \b
    holdover threads list
    holdover threads list --metadata user=42
    holdover threads list --all | jq -r .id

    The hosted API had no such list; another service than Holdover's may not have it either.
    """
    write_page(
        partial(client.list_threads, **content(metadata=metadata)),
        ("ID", "METADATA", "CREATED"),
        lambda each: (each.id, each.metadata, moment(each.created_at)),
        nothing="No threads. To make one: holdover threads create --message 'What is 2 + 2?'",
        **options,
    )


@threads.command("show")
@click.argument("thread_id")
@calls
@shows
def show(client: Client, *, thread_id: str, as_json: bool) -> None:
    """Show a thread; its messages are shown by `holdover messages list`.

    \b
    holdover threads show thread_…
    """
    write_object(client.get_thread(thread_id), as_json)


@threads.command("create")
@click.option(
    "--message", "texts", type=Text(), multiple=True, help="A message of the user to begin with; may be repeated."
)
@click.option("--messages", type=JSON(list), help="Messages to begin with, of whatever role and parts.")
@takes_tool_resources
@takes_metadata
@calls
@shows
def create(client: Client, *, texts: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Create a thread, with its first messages if any.

    \b
    holdover threads create
    holdover threads create --message 'What is 2 + 2?' --metadata user=ada
    holdover threads create --messages '[{"role": "assistant", "content": "How can I help?"}]'

    Those of --messages come first. Where a value may be @FILE, it is read from there; @- is standard input, and @@
    begins a text with @.
    """
    given = content(**options)
    if texts:
        users = [{"role": "user", "content": each} for each in texts]
        given["messages"] = [*given.get("messages", ()), *users]
    write_object(client.create_thread(**given), as_json)


@threads.command("modify")
@click.argument("thread_id")
@takes_tool_resources
@takes_metadata
@takes_nulls(ModifyThread)
@calls
@shows
def modify(client: Client, *, thread_id: str, nulls: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Modify a thread; what is left out keeps its value.

    \b
    holdover threads modify thread_… --metadata user=ada
    holdover threads modify thread_… --null metadata

    Metadata are replaced whole. Where a value may be @FILE, it is read from there.
    """
    write_object(client.modify_thread(thread_id, **changes(content(**options), nulls)), as_json)


@threads.command("delete")
@click.argument("thread_ids", metavar="THREAD_ID...", nargs=-1, required=True)
@calls
@shows
def delete(client: Client, *, thread_ids: tuple[str, ...], as_json: bool) -> None:
    """Delete threads and their messages, for good and without asking.

    \b
    holdover threads delete thread_…
    holdover threads list --all | jq -r .id | xargs holdover threads delete
    """
    delete_each(thread_ids, client.delete_thread, as_json)
