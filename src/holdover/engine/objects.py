"""The operations: rules first, then one transaction.

Every method is one row of the table of operations and returns the encoded answer, or a stream of events. Documents are
stored as they are sent, so that reading one is a look-up and nothing else. A noun's rules and operations are in the
file of its name.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from holdover.models.protocol import Models
from holdover.store.protocol import Blobs, Store
from holdover.tools.file_search.protocol import Indexer, Searcher

from .acting import Tools
from .assistants import AssistantOperations
from .broadcast import Broadcast, BrokenOff, EventStream
from .core import RetryKey
from .driver import Work
from .files import FileContent, Received
from .indexing import Indexing
from .messages import MessageOperations
from .models import ModelOperations
from .runs import RunOperations
from .uploads import UploadOperations
from .vector_stores import VectorStoreOperations
from .worker import Worker

__all__ = ["Engine", "EventStream", "FileContent", "Received", "RetryKey", "BrokenOff"]


class Engine(
    AssistantOperations,
    RunOperations,
    MessageOperations,
    UploadOperations,
    VectorStoreOperations,
    ModelOperations,
):
    """Carries out every operation of the table, and drives runs.

    Args:
        store: Where objects are kept.
        models: Who answers.
        blobs: Where the bytes of files are kept.
        indexer: Reads files and embeds their chunks; without one, files are not indexed here.
        searcher: Finds chunks.
        max_files: How many files are indexed here at the same time.
        run_lifetime_s: Seconds after which a run that has not ended expires.
        lease_s: Seconds without a sign of life after which a run is taken from its worker.
        max_runs: How many runs are driven here at the same time.
        tools: The built-in tools that there are.
        claims: Whether runs are looked for, or only those driven whose stream is asked for here.
        options: Of `holdover.engine.core.Core`: ``clock``, ``entropy``.
    """

    def __init__(
        self,
        store: Store,
        models: Models,
        blobs: Blobs,
        *,
        indexer: Indexer | None = None,
        searcher: Searcher | None = None,
        max_files: int = 2,
        run_lifetime_s: float = 600.0,
        lease_s: float = 10.0,
        max_runs: int = 1000,
        claims: bool = True,
        tools: Tools | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        **options: Any,
    ) -> None:
        super().__init__(store, **options)
        self._models = models
        self._blobs = blobs
        self._sleep = sleep
        self._sweeping: asyncio.Task[None] | None = None
        self._run_lifetime_s = run_lifetime_s
        self._broadcast = Broadcast()
        self._tools = tools or Tools()
        name = f"worker-{os.getpid()}-{os.urandom(6).hex()}"
        work = Work(
            store,
            models,
            self._broadcast,
            worker=name,
            new_id=self._new_id,
            blobs=blobs,
            tools=self._tools,
            sleep=sleep,
        )
        self._worker = Worker(work, name=name, lease_s=lease_s, max_runs=max_runs, claims=claims, sleep=sleep)
        self._searcher = searcher
        self._indexing = None
        if indexer is not None:
            self._indexing = Indexing(
                store,
                blobs,
                indexer,
                name=name,
                lease_s=lease_s,
                max_files=max_files,
                claims=claims,
                sleep=sleep,
            )

    async def start(self) -> None:
        """Begin to look for runs and for files to index, and to sweep."""
        await self._store.watch(self._take_hint)
        await self._worker.start()
        if self._indexing is not None:
            await self._indexing.start()
        self._sweeping = asyncio.create_task(self._sweep_for_ever(self._sleep), name="holdover-sweep")

    async def stop(self, drain_s: float = 0.0) -> None:
        """Finish the runs under way, for so many seconds; the rest goes back to the queue, and files do at once."""
        if self._indexing is not None:
            await self._indexing.stop()
        await self._worker.stop(drain_s)
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)

    def _take_hint(self, status: str, identifier: str) -> None:
        if status != "indexing":
            self._worker.take_hint(status, identifier)
        elif self._indexing is not None:
            self._indexing.wake()
