-- Statements on files and uploads, and on who names files; by name. {table} is the table of the object's kind, {users} that
-- of who names files; lines that begin with [owned] are for parts, others for all.

-- name: insert_file
INSERT INTO {table} (
[owned] owner,
    id, created_at, document, extra, digest, bytes, purpose, expires_at
) VALUES (
[owned] :owner,
    :id, :created_at, :document, :extra, :digest, :bytes, :purpose, :expires_at
)

-- name: file
SELECT document, digest FROM files WHERE id = ?

-- name: upload
SELECT document, extra FROM uploads WHERE id = ?

-- name: parts
SELECT id, digest, bytes FROM upload_parts WHERE owner = ?

-- name: write_upload
UPDATE uploads SET document = :document, expires_at = :expires_at WHERE id = :id

-- name: drop_parts
DELETE FROM upload_parts WHERE owner = ?

-- name: expired
SELECT id FROM {table} WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit

-- name: named_digests
SELECT value FROM json_each(?) AS asked
WHERE EXISTS (SELECT 1 FROM files WHERE digest = asked.value)
OR EXISTS (SELECT 1 FROM upload_parts WHERE digest = asked.value)

-- name: users_of_file
SELECT {table}.id, {table}.document FROM {users} AS named JOIN {table} ON {table}.id = named.owner WHERE named.file_id = ?

-- name: identity
SELECT name FROM identity
