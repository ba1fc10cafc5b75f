"""``holdover uploads``: one command for each operation on uploads in parts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from holdover.wire.files import PURPOSES
from holdover.wire.uploads import MAX_UPLOAD_BYTES

from .bodies import content
from .connection import calls
from .groups import Group
from .output import shows, write_object
from .progress import progress
from .values import JSON

if TYPE_CHECKING:
    from holdover.client import Client


@click.group(cls=Group)
def uploads() -> None:
    """Upload a large file in parts, step by step; `holdover files upload` does it in one.

    \b
    holdover uploads create big.jsonl assistants 1000000000 text/jsonl
    holdover uploads add upload_… part1
    holdover uploads complete upload_… part_… part_…
    """


@uploads.command("create")
@click.argument("filename")
@click.argument("purpose", type=click.Choice(PURPOSES))
@click.argument("size_bytes", metavar="BYTES", type=click.IntRange(1, MAX_UPLOAD_BYTES))
@click.argument("mime_type")
@click.option("--expires-after", type=JSON(dict), help="When the file that it becomes goes by itself.")
@calls
@shows
def create(
    client: Client,
    *,
    filename: str,
    purpose: str,
    size_bytes: int,
    mime_type: str,
    expires_after: Mapping[str, Any] | None,
    as_json: bool,
) -> None:
    """Begin to upload a file of up to 8 GB in parts.

    \b
    holdover uploads create big.jsonl assistants 1000000000 text/jsonl
    """
    given = content(expires_after=expires_after)
    write_object(client.create_upload(filename, purpose, size_bytes, mime_type, **given), as_json)


@uploads.command("add")
@click.argument("upload_id")
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False))
@click.option("--filename", metavar="NAME", help="Of no meaning; sent with the bytes.")
@calls
@shows
def add(client: Client, *, upload_id: str, path: str, filename: str | None, as_json: bool) -> None:
    """Add a part of up to 64 MB to an upload.

    \b
    holdover uploads add upload_… part1
    """
    with progress(os.path.basename(path)) as told:
        part = client.add_upload_part(upload_id, path, on_progress=told, filename=filename)
    write_object(part, as_json)


@uploads.command("complete")
@click.argument("upload_id")
@click.argument("part_ids", metavar="PART_ID...", nargs=-1, required=True)
@click.option("--md5", metavar="HEX", help="What the MD5 of the whole file must be.")
@calls
@shows
def complete(client: Client, *, upload_id: str, part_ids: tuple[str, ...], md5: str | None, as_json: bool) -> None:
    """Make the parts of an upload a file, in the order in which they are named.

    \b
    holdover uploads complete upload_… part_… part_…
    """
    write_object(client.complete_upload(upload_id, list(part_ids), **content(md5=md5)), as_json)


@uploads.command("cancel")
@click.argument("upload_id")
@calls
@shows
def cancel(client: Client, *, upload_id: str, as_json: bool) -> None:
    """Give an upload up; its parts go away.

    \b
    holdover uploads cancel upload_…
    """
    write_object(client.cancel_upload(upload_id), as_json)
