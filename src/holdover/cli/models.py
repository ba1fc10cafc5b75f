"""``holdover models``: one command for each operation on models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .connection import calls
from .deletion import delete_each
from .groups import Group
from .output import moment, shows, write_fields, write_json, write_table

if TYPE_CHECKING:
    from holdover.client import Client


@click.group(cls=Group)
def models() -> None:
    """See the models that an assistant can be made with.

    \b
    holdover models list
    holdover models show gpt-4o
    """


@models.command("list")
@calls
@shows
def list_(client: Client, *, as_json: bool) -> None:
    """List the models that can be named.

    \b
    holdover models list
    holdover models list | jq -r '.data[].id'
    """
    found = client.list_models()
    if as_json:
        write_json(found)
    else:
        write_table(
            ("ID", "OWNED BY", "CREATED"),
            ((each.id, each.owned_by, moment(each.created)) for each in found.data),
        )


@models.command("show")
@click.argument("model")
@calls
@shows
def show(client: Client, *, model: str, as_json: bool) -> None:
    """Show a model.

    \b
    holdover models show gpt-4o
    """
    found = client.retrieve_model(model)
    if as_json:
        write_json(found)
    else:
        write_fields({"id": found.id, "owned_by": found.owned_by, "created": moment(found.created)})


@models.command("delete")
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@calls
@shows
def delete(client: Client, *, models: tuple[str, ...], as_json: bool) -> None:
    """Delete fine-tuned models of your own.

    \b
    holdover models delete ft:gpt-4o:…
    """
    delete_each(models, client.delete_model, as_json)
