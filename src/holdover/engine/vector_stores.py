"""Vector stores, their files and batches: the rules and the operations. How a file lives is in `indexing`.

What is stored of a store and of a batch does not say how it is: counts, status and bytes are those of its files at the
moment of asking, and whether it has expired is a matter of the clock.

Source: createVectorStore and the other operations on vector stores; defaults and echoes are those of the recorded
exchanges. ``last_active_at`` is when a store was last searched, by a run or by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from holdover.errors import InternalServerError
from holdover.store.protocol import (
    Modification,
    NewObject,
    Page,
    Reference,
    Relabelled,
    StoreFileChange,
    StoreFileColumns,
    StoreFileRow,
    Tally,
)
from holdover.tools.file_search.protocol import Hit, Ranking, Searcher
from holdover.wire import ids
from holdover.wire.filters import accepts
from holdover.wire.pages import PageQuery, splice_page
from holdover.wire.record import UNSET, UnsetType
from holdover.wire.vector_stores import (
    DEFAULT_CHUNKING,
    DEFAULT_RESULTS,
    CancelFileBatch,
    ChunkingStrategy,
    CreateFileBatch,
    CreateVectorStore,
    CreateVectorStoreFile,
    FileBatch,
    FileContentPart,
    FileCounts,
    ModifyVectorStore,
    NewVectorStore,
    SearchRanking,
    SearchResult,
    SearchResults,
    SearchVectorStore,
    StaticChunking,
    UpdateVectorStoreFileAttributes,
    VectorStore,
    VectorStoreDeleted,
    VectorStoreExpiresAfter,
    VectorStoreFile,
    VectorStoreFileContent,
    VectorStoreFileDeleted,
    VectorStoreFileQuery,
)

from . import indexing
from .core import RetryKey, encode, references, references_told, repeatable
from .indexing import decode_file
from .searchable import FileChecks, decode_store, expiry, is_expired, touch

#: Files of a batch that are cancelled in one transaction.
CANCELLED = 500


# ------------------------------------------------------------------------------------------------- the rules


def new_vector_store(
    body: CreateVectorStore | NewVectorStore,
    *,
    id: str,
    created_at: int,
    expires_after: VectorStoreExpiresAfter | None = None,
) -> VectorStore:
    """Return the vector store that a body describes."""
    given = body if isinstance(body, CreateVectorStore) else CreateVectorStore()
    expires_after = given.expires_after or expires_after
    return VectorStore(
        id=id,
        created_at=created_at,
        name=given.name or None,
        description=given.description or None,
        expires_after=expires_after,
        expires_at=expiry(expires_after, created_at),
        last_active_at=created_at,
        metadata=body.metadata or {},
    )


def modified_vector_store(store: VectorStore, body: ModifyVectorStore) -> VectorStore:
    """Return a store with a modification applied; fields that the body leaves out keep their values."""
    if body.name is not UNSET:
        store = msgspec.structs.replace(store, name=body.name)
    if body.metadata is not UNSET:
        store = msgspec.structs.replace(store, metadata=body.metadata or {})
    if body.expires_after is not UNSET:
        expires_at = expiry(body.expires_after, store.last_active_at or store.created_at)
        store = msgspec.structs.replace(store, expires_after=body.expires_after, expires_at=expires_at)
    return store


def counts(tallies: Iterable[Tally]) -> FileCounts:
    """Return how many files are in which state."""
    by_status = {each.status: each.count for each in tallies}
    return FileCounts(**by_status, total=sum(by_status.values()))


def shown_vector_store(document: bytes, tallies: Sequence[Tally], now: float) -> VectorStore:
    """Return a store as it is at this moment."""
    store, counted = decode_store(document), counts(tallies)
    return msgspec.structs.replace(
        store,
        usage_bytes=sum(each.usage_bytes for each in tallies),
        file_counts=counted,
        status="expired" if is_expired(store, now) else "in_progress" if counted.in_progress else "completed",
    )


def shown_batch(document: bytes, tallies: Sequence[Tally]) -> FileBatch:
    """Return a batch as it is at this moment. One that was cancelled stays so, whatever was done before."""
    batch, counted = _decode_batch(document), counts(tallies)
    status = batch.status
    if status == "in_progress" and not counted.in_progress:
        status = "failed" if counted.total and counted.failed == counted.total else "completed"
    return msgspec.structs.replace(batch, status=status, file_counts=counted)


def in_batch(document: bytes) -> bytes:
    """Return a file as the list of its batch shows it: as recorded, without what the others show."""
    return encode(msgspec.structs.replace(decode_file(document), chunking_strategy=UNSET, attributes=UNSET))


def chunked(strategy: ChunkingStrategy | None | UnsetType) -> StaticChunking:
    """Return a strategy as it is echoed: in sizes."""
    return strategy if isinstance(strategy, StaticChunking) else DEFAULT_CHUNKING


def new_files(
    given: Iterable[CreateVectorStoreFile], *, store_id: str, created_at: int, batch: str | None = None
) -> list[NewObject]:
    """Return files of a vector store, to be indexed; one that is named twice is there once, as it was named last."""
    files = {each.file_id: each for each in given}
    return [
        NewObject(
            kind="vector_store_file",
            id=each.file_id,
            created_at=created_at,
            document=encode(new_file(each, store_id=store_id, created_at=created_at)),
            owner=store_id,
            store_file=StoreFileColumns(batch=batch, size=len(files)),
        )
        for each in files.values()
    ]


def new_file(given: CreateVectorStoreFile, *, store_id: str, created_at: int) -> VectorStoreFile:
    """Return a file of a vector store, to be indexed."""
    return VectorStoreFile(
        id=given.file_id,
        created_at=created_at,
        vector_store_id=store_id,
        status="in_progress",
        chunking_strategy=chunked(given.chunking_strategy),
        attributes=given.attributes or {},
    )


def named(
    file_ids: Iterable[str],
    strategy: ChunkingStrategy | None | UnsetType = UNSET,
    attributes: dict[str, str | bool | int | float] | None | UnsetType = UNSET,
) -> list[CreateVectorStoreFile]:
    """Return files that are named by their ids alone."""
    return [CreateVectorStoreFile(file_id=each, chunking_strategy=strategy, attributes=attributes) for each in file_ids]


def ranking_of(given: SearchRanking | None | UnsetType) -> Ranking:
    """Return how a search ranks. Weights are relative: two of 0 are equal ones."""
    if not given:
        return Ranking()
    chosen: dict[str, Any] = {}
    if given.ranker:
        chosen["ranker"] = given.ranker
    if given.score_threshold is not UNSET:
        chosen["score_threshold"] = given.score_threshold
    if given.hybrid_search and any(msgspec.structs.astuple(given.hybrid_search)):
        chosen |= msgspec.structs.asdict(given.hybrid_search)
    return Ranking(**chosen)


def result(hit: Hit) -> SearchResult:
    """Return a passage as a search answers with it."""
    return SearchResult(
        file_id=hit.file_id,
        filename=hit.file_name,
        score=min(1.0, max(0.0, hit.score)),
        attributes=dict(hit.attributes),
        content=[FileContentPart(text=hit.text)],
    )


# -------------------------------------------------------------------------------------------- the operations


class VectorStoreOperations(FileChecks):
    """The operations on vector stores, their files and batches."""

    _searcher: Searcher | None

    # Stores

    async def create_vector_store(self, body: CreateVectorStore, retry_key: RetryKey | None = None) -> bytes:
        """Make a vector store and have its first files indexed.

        Raises:
            NotFoundError: A file does not exist.
            BadRequestError: A file cannot be searched, or the retry key came with another body before.
        """
        now = self._now()
        store = new_vector_store(body, id=ids.new_vector_store_id(now, self._entropy), created_at=now)
        files = new_files(named(body.file_ids or (), body.chunking_strategy), store_id=store.id, created_at=now)
        await self._check_searchable([each.id for each in files])
        made = NewObject(kind="vector_store", id=store.id, created_at=now, document=encode(store))
        tallies = [Tally("in_progress", len(files), 0)] if files else []
        with references_told():
            return await self._store.create(
                [made, *files],
                reply=encode(shown_vector_store(made.document, tallies, now)),
                requires=references([each.id for each in files]),
                repeatable=repeatable("create_vector_store", retry_key, now),
            )

    async def get_vector_store(self, vector_store_id: str) -> bytes:
        """Return a vector store.

        Raises:
            NotFoundError: There is none with this id.
        """
        document = await self._document("vector_store", vector_store_id)
        (shown,) = await self._shown([vector_store_id], [document])
        return shown

    async def list_vector_stores(self, query: PageQuery) -> bytes:
        """Return a page of vector stores.

        Raises:
            NotFoundError: A cursor is not the id of any vector store, present or deleted.
        """
        page = await self._read_page("vector_store", query)
        return _spliced(page, await self._shown(page.ids, page.documents))

    async def modify_vector_store(self, vector_store_id: str, body: ModifyVectorStore) -> bytes:
        """Change a vector store.

        Raises:
            NotFoundError: There is none with this id.
        """

        def change(document: bytes) -> Modification:
            return Modification(encode(modified_vector_store(decode_store(document), body)))

        document = await self._modified("vector_store", vector_store_id, change)
        (shown,) = await self._shown([vector_store_id], [document])
        return shown

    async def delete_vector_store(self, vector_store_id: str) -> bytes:
        """Delete a vector store and what was indexed in it; the files stay.

        Raises:
            NotFoundError: There is none with this id.
        """
        await self._deleted("vector_store", vector_store_id)
        return encode(VectorStoreDeleted(id=vector_store_id))

    async def search_vector_store(self, vector_store_id: str, body: SearchVectorStore) -> bytes:
        """Return the passages that fit best.

        Raises:
            NotFoundError: There is no such vector store.
            BadRequestError: It has expired.
            InternalServerError: The query could not be embedded.
        """
        document = await self._live(vector_store_id)
        if self._searcher is None:
            raise InternalServerError("This service has nobody who searches.")
        queries = [body.query] if isinstance(body.query, str) else body.query
        hits = await self._searcher.search(
            [vector_store_id],
            queries,
            limit=body.max_num_results or DEFAULT_RESULTS,
            ranking=ranking_of(body.ranking_options),
            accepts=accepts(body.filters) if body.filters else None,
        )
        await touch(self._store, vector_store_id, document)
        return encode(SearchResults(search_query=queries, data=[result(each) for each in hits]))

    # Files

    async def create_vector_store_file(
        self, vector_store_id: str, body: CreateVectorStoreFile, retry_key: RetryKey | None = None
    ) -> bytes:
        """Add a file to a vector store and have it indexed; one that is there already begins anew.

        Raises:
            NotFoundError: There is no such vector store or file.
            BadRequestError: The store has expired, or the file cannot be searched.
        """
        now = self._now()
        await self._live(vector_store_id)
        await self._check_searchable([body.file_id], "file_id")
        (file,) = new_files([body], store_id=vector_store_id, created_at=now)
        with references_told():
            return await self._store.create(
                [file],
                reply=file.document,
                requires=[Reference("vector_store", vector_store_id), Reference("file", body.file_id)],
                repeatable=repeatable(f"create_vector_store_file {vector_store_id}", retry_key, now),
            )

    async def get_vector_store_file(self, vector_store_id: str, file_id: str) -> bytes:
        """Return a file of a vector store.

        Raises:
            NotFoundError: It is not in this store, or there is no such store.
        """
        return await self._document("vector_store_file", file_id, owner=vector_store_id)

    async def list_vector_store_files(self, vector_store_id: str, query: VectorStoreFileQuery) -> bytes:
        """Return a page of a vector store's files: of all, or of those in one state.

        Raises:
            NotFoundError: There is no such store, or a cursor was never the id of a file in it.
        """
        await self._document("vector_store", vector_store_id)
        page = await self._read_page("vector_store_file", query, owner=vector_store_id, status=query.filter or None)
        return _spliced(page, page.documents)

    async def update_vector_store_file_attributes(
        self, vector_store_id: str, file_id: str, body: UpdateVectorStoreFileAttributes
    ) -> bytes:
        """Replace what searches for a file are filtered by.

        Raises:
            NotFoundError: It is not in this store, or there is no such store.
        """
        attributes = body.attributes or {}

        def change(row: StoreFileRow) -> StoreFileChange:
            file = msgspec.structs.replace(decode_file(row.document), attributes=attributes)
            return StoreFileChange(status=row.status, document=encode(file), lease="keep", index=Relabelled(attributes))

        changed = await self._store.change_store_file(vector_store_id, file_id, change)
        if changed is None or changed.change is None:
            raise await self._missing("vector_store_file", file_id, vector_store_id)
        return changed.change.document

    async def delete_vector_store_file(self, vector_store_id: str, file_id: str) -> bytes:
        """Take a file out of a vector store; the file itself stays.

        Raises:
            NotFoundError: It is not in this store, or there is no such store.
        """
        await self._deleted("vector_store_file", file_id, owner=vector_store_id)
        return encode(VectorStoreFileDeleted(id=file_id))

    async def retrieve_vector_store_file_content(self, vector_store_id: str, file_id: str) -> bytes:
        """Return the text that was read from a file; none while it is being indexed, or if it cannot be.

        Raises:
            NotFoundError: It is not in this store, or there is no such store.
        """
        await self.get_vector_store_file(vector_store_id, file_id)
        text = await self._store.indexed_text(vector_store_id, file_id)
        return encode(VectorStoreFileContent(data=[] if text is None else [FileContentPart(text=text)]))

    # Batches

    async def create_vector_store_file_batch(
        self, vector_store_id: str, body: CreateFileBatch, retry_key: RetryKey | None = None
    ) -> bytes:
        """Add files to a vector store and have them indexed; those that are there already begin anew.

        Raises:
            NotFoundError: There is no such vector store, or a file does not exist.
            BadRequestError: The store has expired, or a file cannot be searched.
        """
        now = self._now()
        await self._live(vector_store_id)
        given = body.files or named(body.file_ids or (), body.chunking_strategy, body.attributes)
        batch = FileBatch(id=ids.new_file_batch_id(self._entropy), created_at=now, vector_store_id=vector_store_id)
        files = new_files(given, store_id=vector_store_id, created_at=now, batch=batch.id)
        await self._check_searchable([each.id for each in files], "files" if body.files else "file_ids")
        document = encode(batch)
        made = NewObject(kind="batch", id=batch.id, created_at=now, document=document, owner=vector_store_id)
        with references_told():
            return await self._store.create(
                [made, *files],
                reply=encode(shown_batch(document, [Tally("in_progress", len(files), 0)])),
                requires=[Reference("vector_store", vector_store_id), *references([each.id for each in files])],
                repeatable=repeatable(f"create_vector_store_file_batch {vector_store_id}", retry_key, now),
            )

    async def get_vector_store_file_batch(self, vector_store_id: str, batch_id: str) -> bytes:
        """Return a batch.

        Raises:
            NotFoundError: There is none with this id in this store.
        """
        document = await self._document("batch", batch_id, owner=vector_store_id)
        return await self._shown_batch(batch_id, document)

    async def cancel_vector_store_file_batch(self, vector_store_id: str, batch_id: str, body: CancelFileBatch) -> bytes:
        """Cancel what is left of a batch; one that is finished stays as it is.

        Raises:
            NotFoundError: There is none with this id in this store.
        """
        tallies = (await self._store.count_store_files("batch", [batch_id])).get(batch_id, ())
        if shown_batch(await self._document("batch", batch_id, owner=vector_store_id), tallies).status != "in_progress":
            return await self.get_vector_store_file_batch(vector_store_id, batch_id)

        def change(document: bytes) -> Modification:
            return Modification(encode(msgspec.structs.replace(_decode_batch(document), status="cancelled")))

        document = await self._modified("batch", batch_id, change, owner=vector_store_id)
        while await self._store.change_store_files("batch", indexing.cancelled, of=batch_id, limit=CANCELLED):
            pass
        return await self._shown_batch(batch_id, document)

    async def list_files_in_vector_store_batch(
        self, vector_store_id: str, batch_id: str, query: VectorStoreFileQuery
    ) -> bytes:
        """Return a page of a batch's files: of all, or of those in one state.

        Raises:
            NotFoundError: There is no such batch in this store, or a cursor was never the id of a file in the store.
        """
        await self._document("batch", batch_id, owner=vector_store_id)
        page = await self._read_page(
            "vector_store_file", query, owner=vector_store_id, batch=batch_id, status=query.filter or None
        )
        return _spliced(page, [in_batch(each) for each in page.documents])

    # What they share

    async def _shown(self, store_ids: Sequence[str], documents: Sequence[bytes]) -> list[bytes]:
        """Return stores as they are at this moment."""
        tallies = await self._store.count_store_files("store", store_ids) if store_ids else {}
        now = self._clock()
        return [
            encode(shown_vector_store(document, tallies.get(each, ()), now))
            for each, document in zip(store_ids, documents, strict=True)
        ]

    async def _shown_batch(self, batch_id: str, document: bytes) -> bytes:
        tallies = await self._store.count_store_files("batch", [batch_id])
        return encode(shown_batch(document, tallies.get(batch_id, ())))


def _spliced(page: Page, documents: list[bytes]) -> bytes:
    return splice_page(page.ids, documents, has_more=page.has_more)


_decode_batch = msgspec.json.Decoder(FileBatch).decode
