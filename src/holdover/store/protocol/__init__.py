"""What the engine asks of a store. The contract suite in ``tests/store`` binds SQLite, PostgreSQL and every other.

A stored object is a *document*: the wire's JSON, encoded once when it is written and never decoded to be read.
Beside it stand only the columns that are searched. Every write is one transaction and is durable when it returns.

The bytes of files are kept elsewhere (`Blobs`), and named by rows of the store.
"""

from .blobs import DEADLINE_S, GRACE_S, Blob, Blobs, TooManyBytes
from .chunks import CHUNK_BITS, FileVectors, IndexedFile, NewChunk, NewIndexedFile, Passage
from .files import Part, UploadChange, UploadRow
from .objects import (
    FILE_USERS,
    KINDS,
    OWNERS,
    FileColumns,
    Kind,
    Lease,
    MissingReference,
    Modification,
    NewObject,
    Page,
    Reference,
    RunColumns,
    StoreFileColumns,
    ThreadBusy,
    ThreadChange,
    TooLate,
    UnknownCursor,
    lease_columns,
)
from .replies import REPLY_LIFETIME_S, Repeatable, reused_key
from .runs import ACTIVE, DRIVEN, Changed, RunChange, RunRow
from .store import Hint, Store
from .vector_stores import (
    ChangedStoreFile,
    Index,
    NoIndex,
    Relabelled,
    StoreFileChange,
    StoreFileRow,
    StoreFiles,
    Tally,
)

__all__ = [
    # store
    "Hint",
    "Store",
    # objects
    "Kind",
    "KINDS",
    "OWNERS",
    "FILE_USERS",
    "NewObject",
    "FileColumns",
    "StoreFileColumns",
    "RunColumns",
    "Lease",
    "lease_columns",
    "Reference",
    "Page",
    "MissingReference",
    "UnknownCursor",
    "Modification",
    "ThreadChange",
    "TooLate",
    "ThreadBusy",
    # runs
    "ACTIVE",
    "DRIVEN",
    "RunRow",
    "RunChange",
    "Changed",
    # files
    "Part",
    "UploadRow",
    "UploadChange",
    # vector stores
    "StoreFiles",
    "StoreFileRow",
    "StoreFileChange",
    "Index",
    "Relabelled",
    "NoIndex",
    "ChangedStoreFile",
    "Tally",
    # chunks
    "CHUNK_BITS",
    "NewIndexedFile",
    "NewChunk",
    "IndexedFile",
    "FileVectors",
    "Passage",
    # replies
    "REPLY_LIFETIME_S",
    "Repeatable",
    "reused_key",
    # blobs
    "GRACE_S",
    "DEADLINE_S",
    "Blob",
    "TooManyBytes",
    "Blobs",
]
