-- Files, uploads and their parts, and who names files. Only what differs from SQLite is explained here.

CREATE TABLE files (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text   NOT NULL UNIQUE,
    created_at bigint NOT NULL,
    document   bytea  NOT NULL,
    extra      bytea,
    digest     text   NOT NULL,
    bytes      bigint NOT NULL,
    purpose    text   NOT NULL,
    expires_at double precision
);

CREATE INDEX files_by_purpose ON files (purpose, seq);
CREATE INDEX files_by_digest ON files (digest);
CREATE INDEX files_by_expiry ON files (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE uploads (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text   NOT NULL UNIQUE,
    created_at bigint NOT NULL,
    document   bytea  NOT NULL,
    extra      bytea,
    digest     text,
    bytes      bigint NOT NULL,
    purpose    text   NOT NULL,
    expires_at double precision
);

CREATE INDEX uploads_by_expiry ON uploads (expires_at) WHERE expires_at IS NOT NULL;

-- owner is the upload.
CREATE TABLE upload_parts (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text   NOT NULL UNIQUE,
    owner      text   NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    created_at bigint NOT NULL,
    document   bytea  NOT NULL,
    extra      bytea,
    digest     text   NOT NULL,
    bytes      bigint NOT NULL,
    purpose    text,
    expires_at double precision
);

CREATE INDEX upload_parts_by_owner ON upload_parts (owner, seq);
CREATE INDEX upload_parts_by_digest ON upload_parts (digest);

CREATE TABLE assistant_files (
    file_id text NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    owner   text NOT NULL REFERENCES assistants (id) ON DELETE CASCADE,
    PRIMARY KEY (file_id, owner)
);

CREATE INDEX assistant_files_by_owner ON assistant_files (owner);

CREATE TABLE thread_files (
    file_id text NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    owner   text NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    PRIMARY KEY (file_id, owner)
);

CREATE INDEX thread_files_by_owner ON thread_files (owner);

-- Tells this database from all others: the bytes of its files are kept apart under this name.
CREATE TABLE identity (name text NOT NULL);

INSERT INTO identity (name) VALUES (replace(gen_random_uuid()::text, '-', ''));
