-- What file search reads. Only what differs from SQLite is explained; the rest is said beside its migration.

CREATE TABLE indexed_files (
    indexed    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    store      bigint NOT NULL REFERENCES vector_stores (seq) ON DELETE CASCADE,
    file_id    text   NOT NULL,
    file_name  text   NOT NULL,
    attributes text   NOT NULL,
    embedder   text   NOT NULL,
    chunks     integer NOT NULL,
    text       text   NOT NULL,
    UNIQUE (store, file_id)
);

CREATE TABLE chunks (
    id       bigint   PRIMARY KEY,
    start_at integer  NOT NULL,
    end_at   integer  NOT NULL,
    tokens   integer  NOT NULL,
    text     text     NOT NULL,
    words    tsvector NOT NULL
);

CREATE INDEX chunks_by_word ON chunks USING gin (words);

CREATE TABLE chunk_vectors (
    indexed bigint PRIMARY KEY,
    vectors bytea  NOT NULL
);

-- Vectors do not shrink by compression.
ALTER TABLE chunk_vectors ALTER COLUMN vectors SET STORAGE EXTERNAL;

CREATE TABLE unindexed (
    indexed bigint PRIMARY KEY,
    store   bigint NOT NULL
);

CREATE FUNCTION indexed_files_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO unindexed (indexed, store) VALUES (old.indexed, old.store);
    RETURN NULL;
END
$$;

CREATE TRIGGER indexed_files_gone AFTER DELETE ON indexed_files
FOR EACH ROW EXECUTE FUNCTION indexed_files_gone();
