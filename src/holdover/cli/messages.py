"""``holdover messages``: one command for each operation on messages."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import click

from holdover.wire.messages import Message, ModifyMessage, Role

from .bodies import changes, content, takes_metadata, takes_nulls
from .connection import calls
from .deletion import delete_each
from .groups import Group
from .output import moment, one_line, shows, write_object
from .pages import takes_page, write_page
from .values import JSON, Text

if TYPE_CHECKING:
    from holdover.client import Client

#: Characters of a message that a table shows; `holdover messages show` shows all.
LONGEST = 200


@click.group(cls=Group)
def messages() -> None:
    """Make, see, change and delete the messages of a thread.

    \b
    holdover messages create thread_… 'What is 2 + 2?'
    holdover messages list thread_…
    """


@messages.command("list")
@click.argument("thread_id")
@click.option("--run-id", metavar="ID", help="Only the messages that this run made.")
@takes_page("message")
@calls
@shows
def list_(client: Client, *, thread_id: str, **options: Any) -> None:
    """List the messages of a thread, newest first.

    \b
    holdover messages list thread_…
    holdover messages list thread_… --order asc --all | jq -r '.content[].text.value'
    """
    write_page(
        partial(client.list_messages, thread_id),
        ("ID", "ROLE", "TEXT", "CREATED"),
        lambda each: (each.id, each.role, _in_short(each), moment(each.created_at)),
        nothing=f"No messages. To add one: holdover messages create {one_line(thread_id)} 'What is 2 + 2?'",
        **options,
    )


def _in_short(message: Message) -> str:
    """Return the beginning of what a message says; what is not text is named."""
    text = one_line(message.text)
    others = [f"[{part.type}]" for part in message.content if part.type != "text"]
    return " ".join([text if len(text) <= LONGEST else f"{text[:LONGEST]}…", *others]).strip()


@messages.command("show")
@click.argument("thread_id")
@click.argument("message_id")
@calls
@shows
def show(client: Client, *, thread_id: str, message_id: str, as_json: bool) -> None:
    """Show a message.

    \b
    holdover messages show thread_… msg_…
    holdover messages show thread_… msg_… | jq -r '.content[].text.value'
    """
    write_object(client.get_message(thread_id, message_id), as_json)


@messages.command("create")
@click.argument("thread_id")
@click.argument("text", type=Text(), required=False, metavar="[TEXT|@FILE]")
@click.option("--role", type=click.Choice(get_args(Role)), default="user", show_default=True, help="Who says it.")
@click.option("--content", "parts", type=JSON(list), help="Its parts, in place of TEXT; images for instance.")
@click.option("--attachments", type=JSON(list), help="Files that come with it, and the tools that each is for.")
@takes_metadata
@calls
@shows
def create(
    client: Client, *, thread_id: str, text: str | None, role: Role, parts: Any, as_json: bool, **options: Any
) -> None:
    """Add a message to a thread.

    \b
    holdover messages create thread_… 'What is 2 + 2?'
    holdover messages create thread_… @letter.txt --metadata source=mail
    holdover messages create thread_… 'It is 4.' --role assistant

    Where a value may be @FILE, it is read from there; @- is standard input, and @@ begins a text with @.
    """
    if (text is None) == (parts is None):
        raise click.UsageError("Give a message its TEXT, or its parts with --content.", click.get_current_context())
    said = parts if text is None else text
    write_object(client.create_message(thread_id, role, said, **content(**options)), as_json)


@messages.command("modify")
@click.argument("thread_id")
@click.argument("message_id")
@takes_metadata
@takes_nulls(ModifyMessage)
@calls
@shows
def modify(
    client: Client, *, thread_id: str, message_id: str, nulls: tuple[str, ...], as_json: bool, **options: Any
) -> None:
    """Modify a message's metadata, which are replaced whole.

    \b
    holdover messages modify thread_… msg_… --metadata source=mail
    """
    write_object(client.modify_message(thread_id, message_id, **changes(content(**options), nulls)), as_json)


@messages.command("delete")
@click.argument("thread_id")
@click.argument("message_ids", metavar="MESSAGE_ID...", nargs=-1, required=True)
@calls
@shows
def delete(client: Client, *, thread_id: str, message_ids: tuple[str, ...], as_json: bool) -> None:
    """Delete messages of a thread, for good and without asking.

    \b
    holdover messages delete thread_… msg_…
    """
    delete_each(message_ids, partial(client.delete_message, thread_id), as_json)
