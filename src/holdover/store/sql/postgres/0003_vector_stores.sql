-- The files of vector stores, and batches of these. Only what differs from SQLite is explained here.

CREATE TABLE vector_store_files (
    seq         bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          text    NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    owner       text    NOT NULL REFERENCES vector_stores (id) ON DELETE CASCADE,
    created_at  bigint  NOT NULL,
    document    bytea   NOT NULL,
    status      text    NOT NULL,
    usage_bytes bigint  NOT NULL DEFAULT 0,
    batch       text,
    size        integer NOT NULL,
    epoch       integer NOT NULL DEFAULT 0,
    attempts    integer NOT NULL DEFAULT 0,
    worker      text,
    lease_until double precision,
    embedder    text,
    chunking    text,
    UNIQUE (owner, id)
) WITH (fillfactor = 70);

CREATE INDEX vector_store_files_by_owner ON vector_store_files (owner, seq);
CREATE INDEX vector_store_files_by_file ON vector_store_files (id);
CREATE INDEX vector_store_files_by_batch ON vector_store_files (batch, seq) WHERE batch IS NOT NULL;
CREATE INDEX vector_store_files_by_status ON vector_store_files (owner, status) INCLUDE (usage_bytes);
CREATE INDEX vector_store_files_by_batch_status ON vector_store_files (batch, status) INCLUDE (usage_bytes)
WHERE batch IS NOT NULL;
CREATE INDEX files_to_index ON vector_store_files (size, seq) WHERE status = 'in_progress';

CREATE TABLE file_batches (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text   NOT NULL UNIQUE,
    owner      text   NOT NULL REFERENCES vector_stores (id) ON DELETE CASCADE,
    run_id     text,
    created_at bigint NOT NULL,
    document   bytea  NOT NULL,
    extra      bytea
);

CREATE INDEX file_batches_by_owner ON file_batches (owner, seq);
