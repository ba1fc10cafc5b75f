-- All that is kept. Only what differs from SQLite is explained here; the rest is said beside its migrations.

-- seq orders the lists. An identity never gives out a number again, but it gives them out before they are committed:
-- how a list is kept from passing over one is said in objects.sql, at "insert".
CREATE TABLE assistants (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text   NOT NULL UNIQUE,
    created_at bigint NOT NULL,
    document   bytea  NOT NULL,
    extra      bytea
);

CREATE TABLE vector_stores (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text   NOT NULL UNIQUE,
    created_at bigint NOT NULL,
    document   bytea  NOT NULL,
    extra      bytea
);

CREATE TABLE threads (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text   NOT NULL UNIQUE,
    created_at bigint NOT NULL,
    document   bytea  NOT NULL,
    extra      bytea
);

-- owner is the thread.
CREATE TABLE messages (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text   NOT NULL UNIQUE,
    owner      text   NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    run_id     text,
    created_at bigint NOT NULL,
    document   bytea  NOT NULL,
    extra      bytea
);

CREATE INDEX messages_by_owner ON messages (owner, seq);
CREATE INDEX messages_by_run ON messages (run_id, seq) WHERE run_id IS NOT NULL;

-- The run's row is the job. Room is left in its pages: a row that is changed again and again, with no indexed column
-- among what changes, then stays in its page, and the indexes are left alone.
CREATE TABLE runs (
    seq         bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          text    NOT NULL UNIQUE,
    owner       text    NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    created_at  bigint  NOT NULL,
    document    bytea   NOT NULL,
    extra       bytea,
    status      text    NOT NULL,
    epoch       integer NOT NULL DEFAULT 0,
    attempts    integer NOT NULL DEFAULT 0,
    worker      text,
    lease_until double precision,
    expires_at  double precision
) WITH (fillfactor = 70);

CREATE INDEX runs_by_owner ON runs (owner, seq);

CREATE UNIQUE INDEX one_active_run ON runs (owner)
WHERE status IN ('queued', 'in_progress', 'requires_action', 'cancelling');

CREATE INDEX active_runs ON runs (seq)
WHERE status IN ('queued', 'in_progress', 'requires_action', 'cancelling');

CREATE TABLE steps (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text   NOT NULL UNIQUE,
    owner      text   NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    run_id     text,
    created_at bigint NOT NULL,
    document   bytea  NOT NULL,
    extra      bytea
);

CREATE INDEX steps_by_owner ON steps (owner, seq);

CREATE TABLE thread_labels (
    key   text   NOT NULL,
    value text   NOT NULL,
    seq   bigint NOT NULL REFERENCES threads (seq) ON DELETE CASCADE,
    PRIMARY KEY (key, value, seq)
);

CREATE INDEX thread_labels_by_thread ON thread_labels (seq);

CREATE TABLE tombstones (
    kind  text   NOT NULL,
    id    text   NOT NULL,
    owner text,
    seq   bigint NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE TABLE replies (
    operation   text   NOT NULL,
    key         text   NOT NULL,
    fingerprint bytea  NOT NULL,
    reply       bytea  NOT NULL,
    created_at  bigint NOT NULL,
    CONSTRAINT one_reply UNIQUE (operation, key)
);

CREATE INDEX replies_by_age ON replies (created_at);
