"""What can be searched: which files, which vector stores, and what a run searches.

Source: the guide to file search, as of 2025, for how long a run waits; the hosted API's texts where they are known.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from holdover.errors import BadRequestError
from holdover.store.protocol import Modification, Store
from holdover.tools.file_search.protocol import ENDINGS
from holdover.wire.assistants import Assistant
from holdover.wire.files import FileObject
from holdover.wire.runs import Run
from holdover.wire.threads import Thread
from holdover.wire.tools import ToolResources
from holdover.wire.vector_stores import DAY_S, VectorStore, VectorStoreExpiresAfter

from .core import Core, encode, not_found

#: ``last_active_at`` is written when it is older than this: it counts days, and a write for every search is dear.
ACTIVE_S = 60
#: How long a run waits for the files of its thread's store, and how often it looks, in seconds.
WAIT_S = 60.0
LOOK_S = 0.25
SEE = "See https://platform.openai.com/docs/assistants/tools/file-search/supported-files"


def expiry(expires_after: VectorStoreExpiresAfter | None, last_active_at: int) -> int | None:
    """Return when a store expires that was last active then; ``None``: never."""
    return last_active_at + expires_after.days * DAY_S if expires_after else None


def active_vector_store(store: VectorStore, now: int) -> VectorStore:
    """Return a store that is used now, and that expires as much later."""
    return msgspec.structs.replace(store, last_active_at=now, expires_at=expiry(store.expires_after, now))


def is_expired(store: VectorStore, now: float) -> bool:
    """Whether a store's time is over."""
    return store.expires_at is not None and now >= store.expires_at


def ending(file_name: str) -> str:
    """Return what a file's name ends with, from its last point on, in small letters; nothing where it has none."""
    return os.path.splitext(file_name.replace("\\", "/"))[1].lower()


def unsupported(names: Iterable[str], param: str) -> BadRequestError | None:
    """Return the hosted API's refusal of files that cannot be searched, ``None`` if all can."""
    refused = sorted({ending(each) or "none" for each in names} - ENDINGS)
    if not refused:
        return None
    listed = ", ".join(refused)
    message = f"Files with extensions [{listed}] are not supported for retrieval. {SEE}"
    return BadRequestError(message, param=param, code="unsupported_file")


def expired(store_id: str) -> BadRequestError:
    """Return the refusal of a store whose time is over."""
    return BadRequestError(f"Vector store '{store_id}' has expired.", param="vector_store_id")


class FileChecks(Core):
    """Looks at files and vector stores before anything is written that names them."""

    async def _live(self, vector_store_id: str) -> bytes:
        """Return a store that has not expired."""
        document = await self._document("vector_store", vector_store_id)
        if is_expired(decode_store(document), self._clock()):
            raise expired(vector_store_id)
        return document

    async def _check_searchable(self, file_ids: Sequence[str], param: str = "file_ids") -> None:
        """Refuse files that do not exist, or that cannot be searched.

        Raises:
            NotFoundError: One does not exist.
            BadRequestError: One has another ending than those that can be read.
        """
        documents = await self._store.get_many("file", file_ids) if file_ids else {}
        for each in file_ids:
            if each not in documents:
                raise not_found("file", each)
        refusal = unsupported((_decode_named(each).filename for each in documents.values()), param)
        if refusal is not None:
            raise refusal


# ------------------------------------------------------------------------------------------- what a run searches


class Searchable(msgspec.Struct, frozen=True):
    """The vector stores that a run may search, and one whose time is over, if there is one: then the run fails."""

    store_ids: list[str]
    expired: str | None = None


async def stores_of(store: Store, run: Run, *, sleep: Callable[[float], Awaitable[None]]) -> Searchable:
    """Return the vector stores that a run may search: those of its assistant and of its thread that still exist.

    It waits up to `WAIT_S` seconds for files of the thread's store that are being indexed, not for the assistant's. The
    stores are used by this, and expire as much later.
    """
    assistant = await store.get("assistant", run.assistant_id)
    thread = await store.get("thread", run.thread_id)
    of_assistant = store_ids_of(_decode_assistant(assistant).tool_resources) if assistant else []
    of_thread = store_ids_of(_decode_thread(thread).tool_resources) if thread else []
    found = await store.get_many("vector_store", [*of_assistant, *of_thread])
    for each, document in found.items():
        if is_expired(decode_store(document), store.now()):
            return Searchable([], each)
    waited_s = 0.0
    while of_thread and waited_s < WAIT_S and await _is_being_indexed(store, of_thread):
        await sleep(LOOK_S)
        waited_s += LOOK_S
    for each, document in found.items():
        await touch(store, each, document)
    return Searchable([each for each in dict.fromkeys([*of_assistant, *of_thread]) if each in found])


def store_ids_of(resources: ToolResources | None) -> list[str]:
    """Return the vector stores that resources name."""
    search = resources.file_search if resources else None
    return list(search.vector_store_ids or ()) if search else []


async def _is_being_indexed(store: Store, store_ids: Sequence[str]) -> bool:
    tallies = await store.count_store_files("store", store_ids)
    return any(each.status == "in_progress" for tally in tallies.values() for each in tally)


async def touch(store: Store, store_id: str, document: bytes) -> None:
    """Write down that a store is used, unless that was written a moment ago."""
    now = int(store.now())
    if now - (decode_store(document).last_active_at or 0) < ACTIVE_S:
        return

    def change(document: bytes) -> Modification:
        found = decode_store(document)
        return Modification(document if is_expired(found, now) else encode(active_vector_store(found, now)))

    await store.modify("vector_store", store_id, change)


decode_store = msgspec.json.Decoder(VectorStore).decode
_decode_assistant = msgspec.json.Decoder(Assistant).decode
_decode_thread = msgspec.json.Decoder(Thread).decode
_decode_named = msgspec.json.Decoder(FileObject).decode
