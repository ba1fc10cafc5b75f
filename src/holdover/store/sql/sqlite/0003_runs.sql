-- Runs and their steps, and what threads can be found by.

-- The run's row is the job. owner is the thread. status and expires_at repeat what the document says, to be searched.
-- worker and lease_until say who drives it, and until when that is believed; epoch fences whoever drove it before.
CREATE TABLE runs (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE,
    owner       TEXT    NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    created_at  INTEGER NOT NULL,
    document    BLOB    NOT NULL,
    extra       BLOB,
    status      TEXT    NOT NULL,
    epoch       INTEGER NOT NULL DEFAULT 0,
    attempts    INTEGER NOT NULL DEFAULT 0,
    worker      TEXT,
    lease_until REAL,
    expires_at  REAL
);

CREATE INDEX runs_by_owner ON runs (owner, seq);

-- A thread has one active run at most, whoever asks for two at the same time.
CREATE UNIQUE INDEX one_active_run ON runs (owner)
WHERE status IN ('queued', 'in_progress', 'requires_action', 'cancelling');

-- What is claimed and what is overdue are found among the active ones, which are few.
CREATE INDEX active_runs ON runs (seq)
WHERE status IN ('queued', 'in_progress', 'requires_action', 'cancelling');

CREATE TABLE steps (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    owner      TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    run_id     TEXT,
    created_at INTEGER NOT NULL,
    document   BLOB    NOT NULL,
    extra      BLOB
);

CREATE INDEX steps_by_owner ON steps (owner, seq);

CREATE INDEX messages_by_run ON messages (run_id, seq) WHERE run_id IS NOT NULL;

-- The pairs of a thread's metadata; seq is the thread's, so that a filtered list is read in its order.
CREATE TABLE thread_labels (
    key   TEXT    NOT NULL,
    value TEXT    NOT NULL,
    seq   INTEGER NOT NULL REFERENCES threads (seq) ON DELETE CASCADE,
    PRIMARY KEY (key, value, seq)
) WITHOUT ROWID;

CREATE INDEX thread_labels_by_thread ON thread_labels (seq);

INSERT INTO thread_labels (key, value, seq)
SELECT pair.key, pair.value, threads.seq
FROM threads, json_each(CAST(threads.document AS TEXT), '$.metadata') AS pair;
