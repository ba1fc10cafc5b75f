-- Statements on files and uploads, and on who names files; by name. {table} is the table of the object's kind, {users} that
-- of who names files, {number} the kind's number among locks; lines that begin with [owned] are for parts, with [listed]
-- for kinds that are listed, others for all.

-- name: insert_file
-- Files are listed: see "insert". The deadline is compared with the time at which this is carried out.
[listed] WITH inserting AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared({application}, {number}))
INSERT INTO {table} (
[owned] owner,
    id, created_at, document, extra, digest, bytes, purpose, expires_at
)
SELECT
[owned] :owner::text,
    :id::text, :created_at::bigint, :document::bytea, :extra::bytea, :digest::text, :bytes::bigint, :purpose::text,
    :expires_at::float8
[listed] FROM inserting
WHERE :deadline::float8 IS NULL OR :deadline::float8 > extract(epoch FROM clock_timestamp())
RETURNING id

-- name: file
SELECT document, digest FROM files WHERE id = :id

-- name: lock_file
SELECT 1 FROM files WHERE id = :id FOR UPDATE

-- name: upload
-- The clock is read outside, when the row is locked: after the wait for it, not before.
SELECT locked.*, extract(epoch FROM clock_timestamp())::float8 AS now
FROM (SELECT document, extra FROM uploads WHERE id = :id FOR NO KEY UPDATE) AS locked

-- name: parts
SELECT id, digest, bytes FROM upload_parts WHERE owner = :owner

-- name: write_upload
UPDATE uploads SET document = :document, expires_at = :expires_at WHERE id = :id

-- name: drop_parts
DELETE FROM upload_parts WHERE owner = :owner

-- name: expired
SELECT id FROM {table} WHERE expires_at <= extract(epoch FROM clock_timestamp()) ORDER BY expires_at LIMIT :limit

-- name: named_digests
SELECT asked.digest FROM unnest(:digests::text[]) AS asked (digest)
WHERE EXISTS (SELECT FROM files WHERE files.digest = asked.digest)
OR EXISTS (SELECT FROM upload_parts WHERE upload_parts.digest = asked.digest)

-- name: users_of_file
-- Whoever is changing one of them may be about to name the file: they are waited for, and then keep their new content.
SELECT {table}.id, {table}.document FROM {users} AS named JOIN {table} ON {table}.id = named.owner
WHERE named.file_id = :file_id ORDER BY {table}.seq FOR NO KEY UPDATE OF {table}

-- name: identity
SELECT name FROM identity
