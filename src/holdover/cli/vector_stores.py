"""``holdover vector-stores``: one command for each operation on vector stores, their files and batches."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import click

from holdover.wire.vector_stores import MAX_RESULTS, FileStatus, ModifyVectorStore

from .bodies import changes, content, takes_metadata, takes_nulls
from .connection import calls
from .deletion import delete_each
from .groups import Group
from .output import moment, one_line, shows, write_hint, write_json, write_lines, write_object, write_table
from .pages import takes_page, write_page
from .progress import steps
from .values import JSON, Text

if TYPE_CHECKING:
    from holdover.client import Client
    from holdover.wire.vector_stores import VectorStore, VectorStoreFile


@click.group("vector-stores", cls=Group)
def vector_stores() -> None:
    """Make, fill, search, see and delete vector stores.

    \b
    holdover vector-stores create --name Handbook --file handbook.pdf
    holdover vector-stores search vs_… 'How many days of leave are there?'
    holdover vector-stores files vs_… --filter failed
    """


_takes_expiry = click.option(
    "--expires-after-days",
    "days",
    type=click.IntRange(1, 365),
    help="When it expires: so many days after it was last searched.",
)
_takes_chunking = click.option(
    "--chunking-strategy",
    type=JSON(dict),
    help='How files are cut: \'{"type": "static", "static": {"max_chunk_size_tokens": 800, '
    '"chunk_overlap_tokens": 400}}\'.',
)
_takes_attributes = click.option(
    "--attributes", type=JSON(dict), help="What searches can be filtered by: strings, numbers, booleans."
)
_takes_filter = click.option("--filter", type=click.Choice(get_args(FileStatus)), help="Only files in this state.")
_takes_waiting = click.option(
    "--wait/--no-wait", default=True, help="Whether to return when all is indexed, or at once.  [default: wait]"
)
_takes_local_files = click.option(
    "--file",
    "paths",
    metavar="FILE",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    help="A file of this machine, to be uploaded first; may be repeated.",
)


def _expiry(days: int | None) -> dict[str, Any] | None:
    return None if days is None else {"anchor": "last_active_at", "days": days}


def indexed(client: Client, store_id: str, *, waits: bool) -> VectorStore:
    """Wait until a vector store's files are indexed, with a bar where a person watches; return the store."""
    if not waits:
        return client.get_vector_store(store_id)
    with steps("Indexing") as told:
        on_progress: Callable[[VectorStore], None] | None = None
        if told is not None:

            def on_progress(store: VectorStore) -> None:
                counts = store.file_counts
                told(counts.total - counts.in_progress, counts.total)

        store = client.wait_for_vector_store(store_id, on_progress=on_progress)
    _tell_failures(client, store)
    return store


def _tell_failures(client: Client, store: VectorStore) -> None:
    if store.file_counts.failed:
        for each in client.list_vector_store_files(store.id, filter="failed", limit=20).data:
            reason = each.last_error.message if each.last_error else ""
            write_hint(f"{each.id} could not be indexed: {one_line(reason)}")


def uploaded(client: Client, paths: tuple[str, ...]) -> list[str]:
    """Upload files of this machine for file search; return their ids."""
    from .files import upload_each

    return [each.id for each in upload_each(client, paths, "assistants")]


# -------------------------------------------------------------------------------------------- the stores


@vector_stores.command("list")
@takes_page("vector store")
@calls
@shows
def list_(client: Client, **options: Any) -> None:
    """List vector stores, newest first.

    \b
    holdover vector-stores list
    holdover vector-stores list --all | jq -r .id
    """
    write_page(
        client.list_vector_stores,
        ("ID", "NAME", "STATUS", "FILES", "BYTES", "CREATED"),
        lambda each: (
            each.id,
            each.name,
            each.status,
            each.file_counts.total,
            f"{each.usage_bytes:,}",
            moment(each.created_at),
        ),
        nothing="No vector stores. To make one: holdover vector-stores create --file handbook.pdf",
        **options,
    )


@vector_stores.command("show")
@click.argument("vector_store_id")
@calls
@shows
def show(client: Client, *, vector_store_id: str, as_json: bool) -> None:
    """Show a vector store.

    \b
    holdover vector-stores show vs_…
    """
    write_object(client.get_vector_store(vector_store_id), as_json)


@vector_stores.command("create")
@click.option("--name", help="What it is called.")
@click.option("--description", help="What is in it.")
@_takes_local_files
@click.option("--file-ids", metavar="FILE_ID", multiple=True, help="An uploaded file; may be repeated.")
@_takes_expiry
@click.option("--expires-after", type=JSON(dict), help="The same as JSON.")
@_takes_chunking
@takes_metadata
@_takes_waiting
@calls
@shows
def create(
    client: Client,
    *,
    paths: tuple[str, ...],
    file_ids: tuple[str, ...],
    days: int | None,
    expires_after: Any,
    wait: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Create a vector store, and have its files indexed.

    \b
    holdover vector-stores create --name Handbook --file handbook.pdf --file rules.md
    holdover vector-stores create --file-ids file-… --expires-after-days 7
    """
    ids = [*file_ids, *uploaded(client, paths)]
    given = content(**options, expires_after=expires_after or _expiry(days), file_ids=ids or None)
    store = client.create_vector_store(**given)
    write_object(indexed(client, store.id, waits=wait and bool(ids)), as_json)


@vector_stores.command("modify")
@click.argument("vector_store_id")
@click.option("--name", help="What it is called.")
@_takes_expiry
@click.option("--expires-after", type=JSON(dict), help="The same as JSON.")
@takes_metadata
@takes_nulls(ModifyVectorStore)
@calls
@shows
def modify(
    client: Client,
    *,
    vector_store_id: str,
    days: int | None,
    expires_after: Any,
    nulls: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Modify a vector store; what is left out keeps its value.

    \b
    holdover vector-stores modify vs_… --name Handbook
    holdover vector-stores modify vs_… --null expires_after
    """
    given = content(**options, expires_after=expires_after or _expiry(days))
    write_object(client.modify_vector_store(vector_store_id, **changes(given, nulls)), as_json)


@vector_stores.command("delete")
@click.argument("vector_store_ids", metavar="VECTOR_STORE_ID...", nargs=-1, required=True)
@calls
@shows
def delete(client: Client, *, vector_store_ids: tuple[str, ...], as_json: bool) -> None:
    """Delete vector stores, for good and without asking; their files stay.

    \b
    holdover vector-stores delete vs_…
    """
    delete_each(vector_store_ids, client.delete_vector_store, as_json)


@vector_stores.command("search")
@click.argument("vector_store_id")
@click.argument("query", type=Text(), nargs=-1, required=True)
@click.option("--max-num-results", type=click.IntRange(1, MAX_RESULTS), help="How many at most.  [default: 10]")
@click.option("--filters", type=JSON(dict), help='Which files: \'{"type": "eq", "key": "year", "value": 2024}\'.')
@click.option("--ranking-options", type=JSON(dict), help="How it ranks: '{\"score_threshold\": 0.5}'.")
@click.option("--rewrite-query", is_flag=True, default=None, help="Taken, and not heeded.")
@calls
@shows
def search(client: Client, *, vector_store_id: str, query: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Search a vector store; several queries are several wordings of one.

    \b
    holdover vector-stores search vs_… 'How many days of leave are there?'
    holdover vector-stores search vs_… leave holidays | jq -r '.data[].content[].text'
    """
    found = client.search_vector_store(vector_store_id, query[0] if len(query) == 1 else query, **content(**options))
    if as_json:
        write_json(found)
    elif not found.data:
        write_hint("Nothing was found.")
    else:
        rows = [
            (f"{each.score:.2f}", each.filename, one_line(" ".join(part.text for part in each.content))[:500])
            for each in found.data
        ]
        write_table(("SCORE", "FILE", "PASSAGE"), rows)


# --------------------------------------------------------------------------------------------- their files


@vector_stores.command("add")
@click.argument("vector_store_id")
@click.argument("file_id")
@_takes_attributes
@_takes_chunking
@_takes_waiting
@calls
@shows
def add(client: Client, *, vector_store_id: str, file_id: str, wait: bool, as_json: bool, **options: Any) -> None:
    """Add an uploaded file to a vector store.

    \b
    holdover vector-stores add vs_… file-…
    holdover vector-stores add vs_… file-… --attributes '{"year": 2024}'
    """
    client.create_vector_store_file(vector_store_id, file_id, **content(**options))
    indexed(client, vector_store_id, waits=wait)
    write_object(client.get_vector_store_file(vector_store_id, file_id), as_json)


@vector_stores.command("add-many")
@click.argument("vector_store_id")
@_takes_local_files
@click.option("--file-ids", metavar="FILE_ID", multiple=True, help="An uploaded file; may be repeated.")
@click.option("--files", type=JSON(list), help="Uploaded files, each with attributes of its own, as JSON.")
@_takes_attributes
@_takes_chunking
@_takes_waiting
@calls
@shows
def add_many(
    client: Client,
    *,
    vector_store_id: str,
    paths: tuple[str, ...],
    file_ids: tuple[str, ...],
    wait: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Add files to a vector store, uploaded before or now.

    \b
    holdover vector-stores add-many vs_… --file handbook.pdf --file rules.md
    holdover vector-stores add-many vs_… --file-ids file-…
    """
    ids = [*file_ids, *uploaded(client, paths)]
    batch = client.create_vector_store_file_batch(vector_store_id, **content(**options, file_ids=ids or None))
    indexed(client, vector_store_id, waits=wait)
    write_object(client.get_vector_store_file_batch(vector_store_id, batch.id), as_json)


@vector_stores.command("files")
@click.argument("vector_store_id")
@_takes_filter
@takes_page("file")
@calls
@shows
def files(client: Client, *, vector_store_id: str, filter: str | None, **options: Any) -> None:
    """List the files of a vector store, newest first.

    \b
    holdover vector-stores files vs_…
    holdover vector-stores files vs_… --filter failed
    """
    fetch = partial(client.list_vector_store_files, vector_store_id, **content(filter=filter))
    _write_files(fetch, **options)


@vector_stores.command("file")
@click.argument("vector_store_id")
@click.argument("file_id")
@calls
@shows
def file(client: Client, *, vector_store_id: str, file_id: str, as_json: bool) -> None:
    """Show a file of a vector store: how far it is, and what went wrong.

    \b
    holdover vector-stores file vs_… file-…
    """
    write_object(client.get_vector_store_file(vector_store_id, file_id), as_json)


@vector_stores.command("label")
@click.argument("vector_store_id")
@click.argument("file_id")
@click.argument("attributes", type=JSON(dict))
@calls
@shows
def label(client: Client, *, vector_store_id: str, file_id: str, attributes: Any, as_json: bool) -> None:
    """Replace the attributes of a file, by which searches are filtered.

    \b
    holdover vector-stores label vs_… file-… '{"year": 2024, "draft": false}'
    """
    write_object(client.update_vector_store_file_attributes(vector_store_id, file_id, attributes), as_json)


@vector_stores.command("remove")
@click.argument("vector_store_id")
@click.argument("file_ids", metavar="FILE_ID...", nargs=-1, required=True)
@calls
@shows
def remove(client: Client, *, vector_store_id: str, file_ids: tuple[str, ...], as_json: bool) -> None:
    """Take files out of a vector store; the files themselves stay.

    \b
    holdover vector-stores remove vs_… file-…
    """
    delete_each(file_ids, partial(client.delete_vector_store_file, vector_store_id), as_json)


@vector_stores.command("text")
@click.argument("vector_store_id")
@click.argument("file_id")
@calls
@shows
def text(client: Client, *, vector_store_id: str, file_id: str, as_json: bool) -> None:
    """Show the text that was read from a file.

    \b
    holdover vector-stores text vs_… file-…
    """
    read = client.retrieve_vector_store_file_content(vector_store_id, file_id)
    if as_json:
        write_json(read)
    else:
        write_lines(part.text for part in read.data)


# ------------------------------------------------------------------------------------------------- batches


@vector_stores.command("batch")
@click.argument("vector_store_id")
@click.argument("batch_id")
@calls
@shows
def batch(client: Client, *, vector_store_id: str, batch_id: str, as_json: bool) -> None:
    """Show a batch of files: how many of them are in which state.

    \b
    holdover vector-stores batch vs_… vsfb_…
    """
    write_object(client.get_vector_store_file_batch(vector_store_id, batch_id), as_json)


@vector_stores.command("cancel")
@click.argument("vector_store_id")
@click.argument("batch_id")
@calls
@shows
def cancel(client: Client, *, vector_store_id: str, batch_id: str, as_json: bool) -> None:
    """Cancel what is left of a batch of files.

    \b
    holdover vector-stores cancel vs_… vsfb_…
    """
    write_object(client.cancel_vector_store_file_batch(vector_store_id, batch_id), as_json)


@vector_stores.command("batch-files")
@click.argument("vector_store_id")
@click.argument("batch_id")
@_takes_filter
@takes_page("file")
@calls
@shows
def batch_files(client: Client, *, vector_store_id: str, batch_id: str, filter: str | None, **options: Any) -> None:
    """List the files of a batch, newest first.

    \b
    holdover vector-stores batch-files vs_… vsfb_…
    """
    given = content(filter=filter)
    fetch = partial(client.list_files_in_vector_store_batch, vector_store_id, batch_id, **given)
    _write_files(fetch, **options)


def _write_files(fetch: Any, **options: Any) -> None:
    write_page(
        fetch,
        ("ID", "STATUS", "BYTES", "ERROR", "CREATED"),
        _row,
        nothing="No files.",
        **options,
    )


def _row(each: VectorStoreFile) -> tuple[Any, ...]:
    reason = each.last_error.message if each.last_error else None
    return each.id, each.status, f"{each.usage_bytes:,}", reason, moment(each.created_at)
