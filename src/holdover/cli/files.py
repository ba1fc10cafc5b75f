"""``holdover files``: one command for each operation on files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import click

from holdover.wire.files import MAX_FILE_BYTES, MAX_LIMIT, PURPOSES
from holdover.wire.pages import Order

from .bodies import content
from .connection import calls
from .deletion import delete_each
from .groups import Group
from .output import moment, shows, write_bytes, write_hint, write_object
from .pages import write_page
from .progress import progress
from .values import JSON

if TYPE_CHECKING:
    from holdover.client import Client
    from holdover.wire.files import FileObject


@click.group(cls=Group)
def files() -> None:
    """Upload, see, download and delete files.

    \b
    holdover files upload handbook.pdf
    holdover files list
    holdover files download file-… -o handbook.pdf
    """


@files.command("upload")
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--purpose", type=click.Choice(PURPOSES), default="assistants", show_default=True, help="What it is for.")
@click.option("--filename", metavar="NAME", help="What it is called, if not as on this machine; for one file.")
@click.option(
    "--expires-after",
    type=JSON(dict),
    help='When it goes by itself: \'{"anchor": "created_at", "seconds": 3600}\', an hour to 30 days.',
)
@calls
@shows
def upload(
    client: Client,
    *,
    paths: tuple[str, ...],
    purpose: str,
    filename: str | None,
    expires_after: Mapping[str, Any] | None,
    as_json: bool,
) -> None:
    """Upload files, each of up to 8 GB.

    \b
    holdover files upload handbook.pdf
    holdover files upload *.md --purpose assistants
    holdover files upload photo.png --purpose vision | jq -r .id

    One of more than 512 MB goes in parts.
    """
    if filename is not None and len(paths) > 1:
        raise click.UsageError("--filename is for one file.")
    for uploaded in upload_each(client, paths, purpose, **content(expires_after=expires_after, filename=filename)):
        write_object(uploaded, as_json)


def upload_each(client: Client, paths: Iterable[str], purpose: str, **given: Any) -> Iterator[FileObject]:
    """Upload files one after the other, with a bar where a person watches."""
    for path in paths:
        with progress(given.get("filename") or os.path.basename(path)) as told:
            if os.path.getsize(path) > MAX_FILE_BYTES:
                whole = client.upload_in_parts(path, purpose, on_progress=told, **given).file
                if whole:
                    yield whole
            else:
                yield client.create_file(path, purpose, on_progress=told, **given)


@files.command("list")
@click.option("--after", metavar="ID", help="Begin behind this file.")
@click.option("--purpose", metavar="PURPOSE", help="Only files of this purpose.")
@click.option("--order", type=click.Choice(get_args(Order)), help="By creation.  [default: desc]")
@click.option(
    "--limit",
    type=click.IntRange(1, MAX_LIMIT),
    help="How many at most; with --all, how many are fetched at once.",
)
@click.option("--all", "is_all", is_flag=True, help="All pages; as JSON, one file a line.")
@calls
@shows
def list_(client: Client, *, limit: int | None, **options: Any) -> None:
    """List files, newest first.

    \b
    holdover files list
    holdover files list --purpose vision
    holdover files list --all | jq -r .id
    """
    write_page(
        partial(_fetch, client),
        ("ID", "NAME", "BYTES", "PURPOSE", "CREATED"),
        lambda each: (each.id, each.filename, f"{each.bytes:,}", each.purpose, moment(each.created_at)),
        nothing="No files. To upload one: holdover files upload handbook.pdf",
        limit=limit or MAX_LIMIT,
        **options,
    )


def _fetch(client: Client, **options: Any) -> Any:
    return client.list_files(**{name: value for name, value in options.items() if value is not None})


@files.command("show")
@click.argument("file_id")
@calls
@shows
def show(client: Client, *, file_id: str, as_json: bool) -> None:
    """Show what is known of a file.

    \b
    holdover files show file-…
    """
    write_object(client.retrieve_file(file_id), as_json)


@files.command("download")
@click.argument("file_id")
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    help="Where to; - is standard output. Left out, it is a file of that name here; none that exists is replaced.",
)
@calls
def download(client: Client, *, file_id: str, output: str | None) -> None:
    """Download the content of a file.

    \b
    holdover files download file-…
    holdover files download file-… -o copy.pdf
    holdover files download file-… -o - | wc -l
    """
    if output == "-":
        write_bytes(client.download_file(file_id), is_json=False)
        return
    path = output if output is not None else _free_name(client.retrieve_file(file_id))
    with progress(path) as told:
        size = client.save_file(file_id, path, on_progress=told)
    write_hint(f"{path}: {size:,} bytes.")


def _free_name(file: FileObject) -> str:
    """Return a name in this folder for a file; what it is called is whoever uploaded it said."""
    name = os.path.basename(file.filename.replace("\\", "/"))
    if not name.strip(".") or not name.isprintable() or os.path.lexists(name):
        name = file.id + os.path.splitext(name if name.isprintable() else "")[1]
    if os.path.lexists(name):
        raise click.UsageError(f"{name} exists; say with -o where the file is to go.")
    return name


@files.command("delete")
@click.argument("file_ids", metavar="FILE_ID...", nargs=-1, required=True)
@calls
@shows
def delete(client: Client, *, file_ids: tuple[str, ...], as_json: bool) -> None:
    """Delete files, for good and without asking.

    \b
    holdover files delete file-…
    """
    delete_each(file_ids, client.delete_file, as_json)
