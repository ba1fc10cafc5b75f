-- Threads and their messages.

CREATE TABLE threads (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    document   BLOB    NOT NULL,
    extra      BLOB
);

-- owner is the thread. A deleted thread takes its messages with it.
CREATE TABLE messages (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    owner      TEXT    NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    run_id     TEXT,
    created_at INTEGER NOT NULL,
    document   BLOB    NOT NULL,
    extra      BLOB
);

CREATE INDEX messages_by_owner ON messages (owner, seq);

-- A deleted message marks a place in its own thread only.
ALTER TABLE tombstones ADD COLUMN owner TEXT;
