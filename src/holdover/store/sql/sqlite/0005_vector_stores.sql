-- The files of vector stores, and batches of these.

-- id is the file's, owner the store. A row is a job as a run's is (0003_runs.sql): it is claimed while it is in progress.
-- status and usage_bytes repeat what the document says, to be searched and summed up. size is how many files came with the
-- same request: those of small ones go first, so that who adds one need not wait for who added thousands. embedder and
-- chunking say how the file was indexed last.
CREATE TABLE vector_store_files (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    owner       TEXT    NOT NULL REFERENCES vector_stores (id) ON DELETE CASCADE,
    created_at  INTEGER NOT NULL,
    document    BLOB    NOT NULL,
    status      TEXT    NOT NULL,
    usage_bytes INTEGER NOT NULL DEFAULT 0,
    batch       TEXT,
    size        INTEGER NOT NULL,
    epoch       INTEGER NOT NULL DEFAULT 0,
    attempts    INTEGER NOT NULL DEFAULT 0,
    worker      TEXT,
    lease_until REAL,
    embedder    TEXT,
    chunking    TEXT,
    UNIQUE (owner, id)
);

CREATE INDEX vector_store_files_by_owner ON vector_store_files (owner, seq);
CREATE INDEX vector_store_files_by_file ON vector_store_files (id);
CREATE INDEX vector_store_files_by_batch ON vector_store_files (batch, seq) WHERE batch IS NOT NULL;

-- How many are in which state, and what they take, is counted when it is asked for, in these indexes alone.
CREATE INDEX vector_store_files_by_status ON vector_store_files (owner, status, usage_bytes);
CREATE INDEX vector_store_files_by_batch_status ON vector_store_files (batch, status, usage_bytes) WHERE batch IS NOT NULL;

CREATE INDEX files_to_index ON vector_store_files (size, seq) WHERE status = 'in_progress';

-- owner is the store.
CREATE TABLE file_batches (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    owner      TEXT    NOT NULL REFERENCES vector_stores (id) ON DELETE CASCADE,
    run_id     TEXT,
    created_at INTEGER NOT NULL,
    document   BLOB    NOT NULL,
    extra      BLOB
);

CREATE INDEX file_batches_by_owner ON file_batches (owner, seq);
