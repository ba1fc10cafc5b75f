"""An engine with files, for tests: a store whose clock is set by hand, and an indexer that does as files say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from holdover.engine import indexing
from holdover.engine.objects import Engine
from holdover.models.catalog import Catalog, Names
from holdover.models.scripted import ScriptedModel
from holdover.store.blobs import FolderBlobs
from holdover.store.sqlite import SQLiteStore
from holdover.tools.file_search.protocol import Accepts, Chunk, Hit, Indexed, Ranking, Unreadable
from holdover.wire.assistants import CreateAssistant
from holdover.wire.files import CreateFile
from holdover.wire.messages import CreateMessage
from holdover.wire.pages import PageQuery
from holdover.wire.strict import from_plain
from holdover.wire.threads import CreateThread
from holdover.wire.vector_stores import (
    CancelFileBatch,
    CreateFileBatch,
    CreateVectorStore,
    CreateVectorStoreFile,
    ModifyVectorStore,
    SearchVectorStore,
    UpdateVectorStoreFileAttributes,
    VectorStoreFileQuery,
)


class Clock:
    def __init__(self) -> None:
        self.time = 1_000_000.0

    def __call__(self) -> float:
        return self.time


class Indexer:
    """Makes one chunk of a text. One that begins with ``!`` is unreadable, with ``%`` for now.

    With ``?`` it is a fault of our own, with ``~`` without end, with ``#`` long and without end.
    """

    def __init__(self, identity: str = "e") -> None:
        self.identity = identity
        self.begun: list[str] = []
        self.asked: list[tuple[int, int]] = []
        self.tasks: list[asyncio.Task[Any]] = []

    async def index(
        self,
        path: str,
        file_name: str,
        *,
        max_chunk_size_tokens: int,
        chunk_overlap_tokens: int,
        on_text: Callable[[Indexed], Awaitable[None]] | None = None,
    ) -> Indexed:
        self.begun.append(file_name)
        self.asked.append((max_chunk_size_tokens, chunk_overlap_tokens))
        task = asyncio.current_task()
        assert task is not None
        self.tasks.append(task)
        text = Path(path).read_text()  # noqa: ASYNC240 - a few bytes
        match text[:1]:
            case "!":
                raise Unreadable("invalid_file", text[1:])
            case "%":
                raise Unreadable("server_error", text[1:])
            case "?":
                raise ZeroDivisionError(text)
            case "#":  # a long one, whose vectors never come
                words = text[1:]
                chunks = [Chunk(text=words, start=1, end=len(text), tokens=1)] * (indexing.FEW + 1)
                assert on_text is not None
                await on_text(Indexed(text=text, chunks=chunks, usage_bytes=0))
                await asyncio.Event().wait()
            case "~":
                await asyncio.Event().wait()
        chunk = Chunk(text=text, start=0, end=len(text), tokens=1, vector=b"\0\0")
        return Indexed(text=text, chunks=[chunk], usage_bytes=len(text))

    async def close(self) -> None:
        return None


class Searcher:
    """Finds every file of a store, and remembers what it was asked."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store
        self.asked: dict[str, Any] = {}

    async def search(
        self,
        store_ids: Sequence[str],
        queries: Sequence[str],
        *,
        limit: int,
        ranking: Ranking,
        accepts: Accepts | None = None,
    ) -> list[Hit]:
        self.asked = {"queries": list(queries), "limit": limit, "ranking": ranking}
        found = [(store_id, each) for store_id in store_ids for each in await self._store.indexed_files(store_id)]
        return [
            Hit(
                store_id=store_id,
                file_id=each.file_id,
                file_name=each.file_name,
                attributes=each.attributes,
                score=1.5,
                text="found",
                start=0,
                end=5,
            )
            for store_id, each in found
            if accepts is None or accepts(each.attributes)
        ]


class Shelf:
    """An engine with files. Bodies are given as JSON has them, answers come so."""

    def __init__(self, store: SQLiteStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.blobs = FolderBlobs(None)
        self.indexer = Indexer()
        self.searcher = Searcher(store)
        self.engine = self.new_engine()
        self._left: list[Engine] = []

    def new_engine(self, indexer: Indexer | None = None) -> Engine:
        if indexer is not None:
            self._left.append(self.engine)
            self.indexer = indexer
        self.engine = Engine(
            self.store,
            Catalog(Names(), lambda target: ScriptedModel(), own={"*": ScriptedModel()}),
            self.blobs,
            indexer=self.indexer,
            searcher=self.searcher,
            lease_s=10,
            max_files=4,
        )
        return self.engine

    @property
    def indexing(self) -> Any:
        return self.engine._indexing

    async def close(self) -> None:
        for engine in (*self._left, self.engine):
            await self.die(engine)
        await self.store.close()
        await self.blobs.close()

    # ------------------------------------------------------------------------------------------- asking

    async def file(self, text: str = "text", name: str = "a.txt") -> str:
        async def parts() -> AsyncIterator[bytes]:
            yield text.encode()

        received = await self.engine.receive(name, parts(), limit_bytes=10_000)
        made = msgspec.json.decode(await self.engine.create_file(received, CreateFile(purpose="assistants")))
        return str(made["id"])

    async def files(self, *texts: str) -> list[str]:
        return [await self.file(each) for each in texts]

    async def vector_store(self, *file_ids: str, **body: Any) -> dict[str, Any]:
        body |= {"file_ids": list(file_ids)} if file_ids else {}
        return plain(await self.engine.create_vector_store(from_plain(body, CreateVectorStore)))

    async def look(self, store: dict[str, Any]) -> dict[str, Any]:
        return plain(await self.engine.get_vector_store(store["id"]))

    async def modify(self, store: dict[str, Any], **body: Any) -> dict[str, Any]:
        return plain(await self.engine.modify_vector_store(store["id"], from_plain(body, ModifyVectorStore)))

    async def attach(self, store: dict[str, Any], file_id: str, **body: Any) -> dict[str, Any]:
        given = from_plain({"file_id": file_id, **body}, CreateVectorStoreFile)
        return plain(await self.engine.create_vector_store_file(store["id"], given))

    async def batch(self, store: dict[str, Any], *file_ids: str, **body: Any) -> dict[str, Any]:
        body |= {"file_ids": list(file_ids)} if file_ids else {}
        given = from_plain(body, CreateFileBatch)
        return plain(await self.engine.create_vector_store_file_batch(store["id"], given))

    async def look_at_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        return plain(await self.engine.get_vector_store_file_batch(batch["vector_store_id"], batch["id"]))

    async def cancel(self, batch: dict[str, Any]) -> dict[str, Any]:
        store_id, batch_id = batch["vector_store_id"], batch["id"]
        return plain(await self.engine.cancel_vector_store_file_batch(store_id, batch_id, CancelFileBatch()))

    async def of_batch(self, batch: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
        store_id, batch_id = batch["vector_store_id"], batch["id"]
        asked = from_plain(query, VectorStoreFileQuery)
        return listed(await self.engine.list_files_in_vector_store_batch(store_id, batch_id, asked))

    async def look_at(self, store: dict[str, Any], file_id: str) -> dict[str, Any]:
        return plain(await self.engine.get_vector_store_file(store["id"], file_id))

    async def of_store(self, store: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
        return listed(await self.engine.list_vector_store_files(store["id"], from_plain(query, VectorStoreFileQuery)))

    async def label(self, store: dict[str, Any], file_id: str, attributes: Any) -> dict[str, Any]:
        body = from_plain({"attributes": attributes}, UpdateVectorStoreFileAttributes)
        return plain(await self.engine.update_vector_store_file_attributes(store["id"], file_id, body))

    async def search(self, store: dict[str, Any], query: Any = "q", **body: Any) -> dict[str, Any]:
        given = from_plain({"query": query, **body}, SearchVectorStore)
        return plain(await self.engine.search_vector_store(store["id"], given))

    async def found(self, store: dict[str, Any]) -> set[str]:
        return {each["file_id"] for each in (await self.search(store))["data"]}

    async def thread(self, **body: Any) -> dict[str, Any]:
        return plain(await self.engine.create_thread(from_plain(body, CreateThread)))

    async def look_at_thread(self, thread: dict[str, Any]) -> dict[str, Any]:
        return plain(await self.engine.get_thread(thread["id"]))

    async def say(self, thread: dict[str, Any], **body: Any) -> dict[str, Any]:
        given = from_plain({"role": "user", "content": "x", **body}, CreateMessage)
        return plain(await self.engine.create_message(thread["id"], given))

    async def assistant(self, **body: Any) -> dict[str, Any]:
        return plain(await self.engine.create_assistant(from_plain({"model": "m", **body}, CreateAssistant)))

    async def stores(self) -> list[dict[str, Any]]:
        return listed(await self.engine.list_vector_stores(PageQuery()))

    # ---------------------------------------------------------------------------------------- indexing

    async def begin(self, count: int = 1) -> None:
        """Have files claimed, and wait until so many more were begun with."""
        wanted = len(self.indexer.begun) + count
        await self.indexing.claim()
        await until(lambda: len(self.indexer.begun) >= wanted)

    async def index(self) -> None:
        """Index all there is."""
        while True:
            await self.indexing.claim()
            tasks = [task for _, task in self.indexing._tasks.values()]
            if not tasks:
                return
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)

    async def die(self, engine: Engine | None = None) -> None:
        """Let everything go without a word, as a process that is killed does."""
        indexing: Any = (engine or self.engine)._indexing
        tasks = [task for _, task in indexing._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


def plain(document: bytes) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(document)
    return decoded


def listed(document: bytes) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = plain(document)["data"]
    return data
