"""What the attachments of messages come to: files of the thread's vector store, and of its code interpreter's list.

A thread without a vector store gets one, which expires seven days after it was last used.

Source: createMessage; the guide to file search, as of 2025.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from holdover.errors import BadRequestError
from holdover.store.protocol import Modification, NewObject, Reference, ThreadChange
from holdover.wire import ids
from holdover.wire.messages import CreateMessage
from holdover.wire.refusals import array_too_long
from holdover.wire.threads import Thread
from holdover.wire.tools import (
    MAX_CODE_INTERPRETER_FILES,
    CodeInterpreterResources,
    CodeInterpreterTool,
    FileSearchResources,
    ToolResources,
)
from holdover.wire.vector_stores import NewVectorStore

from .core import encode
from .searchable import FileChecks, decode_store, expired, is_expired, store_ids_of
from .tool_resources import OF_THREADS, file_ids_of, made_vector_store, named_files
from .vector_stores import named, new_files


class Attached(msgspec.Struct, frozen=True):
    """Files that come with messages, by the tool that they are for; each once."""

    searched: list[str]
    interpreted: list[str]

    @property
    def is_nothing(self) -> bool:
        """Whether no file is for any tool."""
        return not self.searched and not self.interpreted


def attached(bodies: Iterable[CreateMessage]) -> Attached:
    """Return the files that come with messages."""
    searched: dict[str, None] = {}
    interpreted: dict[str, None] = {}
    for body in bodies:
        for each in body.attachments or ():
            for tool in each.tools or ():
                (interpreted if isinstance(tool, CodeInterpreterTool) else searched)[each.file_id] = None
    return Attached(list(searched), list(interpreted))


def equipped(
    resources: ToolResources, files: Attached, *, now: int, entropy: ids.Entropy, lost: str | None = None
) -> tuple[ToolResources, list[NewObject]]:
    """Return a thread's resources with attached files, and what is to be stored with that.

    Args:
        lost: A vector store that does not exist any more: another takes its place.

    Raises:
        BadRequestError: The code interpreter would have too many files.
    """
    added: list[NewObject] = []
    if files.interpreted:
        together = list(dict.fromkeys([*file_ids_of(resources.code_interpreter), *files.interpreted]))
        if len(together) > MAX_CODE_INTERPRETER_FILES:
            refused = array_too_long("attachments", MAX_CODE_INTERPRETER_FILES, len(together))
            raise BadRequestError(refused.message, param=refused.param, code=refused.code)
        resources = msgspec.structs.replace(resources, code_interpreter=CodeInterpreterResources(file_ids=together))
    if files.searched:
        store_ids = [each for each in store_ids_of(resources) if each != lost]
        if not store_ids:
            made = made_vector_store(NewVectorStore(), now=now, entropy=entropy, expires_after=OF_THREADS)
            store_ids, added = [made[0].id], made
        added += new_files(named(files.searched), store_id=store_ids[0], created_at=now)
        resources = msgspec.structs.replace(resources, file_search=FileSearchResources(vector_store_ids=store_ids))
    return resources, added


class AttachmentChecks(FileChecks):
    """Looks at what is attached to messages before they are written."""

    async def _equipping(
        self, thread_id: str, bodies: Sequence[CreateMessage], now: int
    ) -> Callable[[bytes], ThreadChange] | None:
        """Return what a thread becomes by the attachments of its new messages; ``None`` if they leave it as it is.

        Raises:
            NotFoundError: There is no such thread, or a file does not exist.
            BadRequestError: A file cannot be searched, or the thread's vector store has expired.
        """
        files = attached(bodies)
        if files.is_nothing:
            return None
        await self._check_searchable(files.searched, "attachments")
        lost = await self._lost_store(_decode_thread(await self._document("thread", thread_id)), files)

        def change(document: bytes) -> ThreadChange:
            thread = _decode_thread(document)
            resources, added = equipped(
                thread.tool_resources or ToolResources(), files, now=now, entropy=self._entropy, lost=lost
            )
            thread = msgspec.structs.replace(thread, tool_resources=resources)
            made = {each.id for each in added if each.kind == "vector_store"}
            stores = store_ids_of(resources) if files.searched else []
            return ThreadChange(
                modification=Modification(encode(thread), file_ids=named_files(resources)),
                added=added,
                requires=[Reference("vector_store", each) for each in stores if each not in made],
            )

        return change

    async def _lost_store(self, thread: Thread, files: Attached) -> str | None:
        """Return the thread's vector store if it does not exist any more.

        Raises:
            BadRequestError: It has expired.
        """
        for each in store_ids_of(thread.tool_resources) if files.searched else ():
            document = await self._store.get("vector_store", each)
            if document is None:
                return each
            if is_expired(decode_store(document), self._clock()):
                raise expired(each)
        return None


_decode_thread = msgspec.json.Decoder(Thread).decode
