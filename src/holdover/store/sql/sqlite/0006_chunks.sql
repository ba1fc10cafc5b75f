-- What file search reads: the text of files, cut into chunks, by vector store. Written whole when a file was indexed.

-- indexed numbers one indexing of a file in a store, and is never given out again: whoever keeps chunks at hand knows by
-- it what is new and what is gone. The text comes last, so that a list of the files does not read it.
CREATE TABLE indexed_files (
    indexed    INTEGER PRIMARY KEY AUTOINCREMENT,
    store      INTEGER NOT NULL REFERENCES vector_stores (seq) ON DELETE CASCADE,
    file_id    TEXT    NOT NULL,
    file_name  TEXT    NOT NULL,
    attributes TEXT    NOT NULL,
    embedder   TEXT    NOT NULL,
    chunks     INTEGER NOT NULL,
    text       TEXT    NOT NULL,
    UNIQUE (store, file_id)
);

CREATE INDEX indexed_files_by_size ON indexed_files (chunks);

-- The id is the number of the indexing and, in its last 20 bits, that of the chunk in the file: a file's chunks lie
-- together and need no index.
CREATE TABLE chunks (
    id       INTEGER PRIMARY KEY,
    start_at INTEGER NOT NULL,
    end_at   INTEGER NOT NULL,
    tokens   INTEGER NOT NULL,
    text     TEXT    NOT NULL
);

-- A file's vectors one after another, little-endian float16: to load a store is to read few long values.
CREATE TABLE chunk_vectors (
    indexed INTEGER PRIMARY KEY,
    vectors BLOB NOT NULL
);

-- Each word has the store's mark before it (store/words.py): the words of a store lie together, and no other store's
-- are read to find them. The text is in chunks already, so none is kept here.
CREATE VIRTUAL TABLE chunk_words USING fts5(words, content='', tokenize='porter unicode61');

-- Indexings that are gone, and whose chunks the sweep has yet to take away: a store may have a hundred thousand, and
-- nobody is to wait for that.
CREATE TABLE unindexed (
    indexed INTEGER PRIMARY KEY,
    store   INTEGER NOT NULL
);

CREATE TRIGGER indexed_files_gone AFTER DELETE ON indexed_files BEGIN
    INSERT INTO unindexed (indexed, store) VALUES (old.indexed, old.store);
END;
