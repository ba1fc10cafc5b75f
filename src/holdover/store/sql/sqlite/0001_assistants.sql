-- Assistants, the vector stores made with them, and the answers to requests that may be repeated.

-- seq orders the list: created_at alone cannot, since many objects share a second.
-- AUTOINCREMENT never gives out a number again, so that a deleted object's place stays its own.
CREATE TABLE assistants (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    document   BLOB    NOT NULL,
    extra      BLOB
);

CREATE TABLE vector_stores (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    document   BLOB    NOT NULL,
    extra      BLOB
);

-- Where deleted objects stood, so that a client that deletes what it lists can go on to the next page.
CREATE TABLE tombstones (
    kind TEXT    NOT NULL,
    id   TEXT    NOT NULL,
    seq  INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;

CREATE TABLE replies (
    operation   TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL,
    reply       BLOB    NOT NULL,
    created_at  INTEGER NOT NULL,
    UNIQUE (operation, key)
);

CREATE INDEX replies_by_age ON replies (created_at);
