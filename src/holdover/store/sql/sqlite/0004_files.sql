-- Files, uploads and their parts. The bytes are elsewhere, under their digest; purpose, bytes and expires_at repeat what
-- the document says, to be searched.

CREATE TABLE files (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    document   BLOB    NOT NULL,
    extra      BLOB,
    digest     TEXT    NOT NULL,
    bytes      INTEGER NOT NULL,
    purpose    TEXT    NOT NULL,
    expires_at REAL
);

CREATE INDEX files_by_purpose ON files (purpose, seq);
CREATE INDEX files_by_digest ON files (digest);
CREATE INDEX files_by_expiry ON files (expires_at) WHERE expires_at IS NOT NULL;

-- An upload that has ended has an expiry as well: it is remembered for a while, so that whoever asks again is told.
CREATE TABLE uploads (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    document   BLOB    NOT NULL,
    extra      BLOB,
    digest     TEXT,
    bytes      INTEGER NOT NULL,
    purpose    TEXT    NOT NULL,
    expires_at REAL
);

CREATE INDEX uploads_by_expiry ON uploads (expires_at) WHERE expires_at IS NOT NULL;

-- owner is the upload.
CREATE TABLE upload_parts (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    owner      TEXT    NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    document   BLOB    NOT NULL,
    extra      BLOB,
    digest     TEXT    NOT NULL,
    bytes      INTEGER NOT NULL,
    purpose    TEXT,
    expires_at REAL
);

CREATE INDEX upload_parts_by_owner ON upload_parts (owner, seq);
CREATE INDEX upload_parts_by_digest ON upload_parts (digest);

-- Who names a file and must forget it when it is deleted: found here, so that no document need be looked into.
CREATE TABLE assistant_files (
    file_id TEXT NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    owner   TEXT NOT NULL REFERENCES assistants (id) ON DELETE CASCADE,
    PRIMARY KEY (file_id, owner)
) WITHOUT ROWID;

CREATE INDEX assistant_files_by_owner ON assistant_files (owner);

CREATE TABLE thread_files (
    file_id TEXT NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    owner   TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    PRIMARY KEY (file_id, owner)
) WITHOUT ROWID;

CREATE INDEX thread_files_by_owner ON thread_files (owner);

-- Tells this database from all others: the bytes of its files are kept apart under this name.
CREATE TABLE identity (name TEXT NOT NULL);

INSERT INTO identity (name) VALUES (lower(hex(randomblob(16))));
