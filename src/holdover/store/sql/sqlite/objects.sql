-- Statements on objects, by name. {table} is the table of the object's kind, {kind} its name; lines that begin with [owned] are
-- for kinds whose objects have an owner, those with [run] and [purpose] for lists of what one run made or of one purpose, others for all.

-- name: get
SELECT document FROM {table} WHERE id = :id
[owned] AND owner = :owner

-- name: exists
SELECT 1 FROM {table} WHERE id = :id

-- name: cursor
SELECT seq FROM {table} WHERE id = :id
[owned] AND owner = :owner
UNION ALL
SELECT seq FROM tombstones WHERE kind = '{kind}' AND id = :id AND owner IS :owner
LIMIT 1

-- name: scan_upwards
SELECT id, document FROM {table} WHERE seq > :low AND seq < :high
[owned] AND owner = :owner
[run] AND run_id = :run_id
[purpose] AND purpose = :purpose
ORDER BY seq LIMIT :limit

-- name: scan_downwards
SELECT id, document FROM {table} WHERE seq > :low AND seq < :high
[owned] AND owner = :owner
[run] AND run_id = :run_id
[purpose] AND purpose = :purpose
ORDER BY seq DESC LIMIT :limit

-- name: insert
INSERT INTO {table} (id, created_at, document, extra) VALUES (:id, :created_at, :document, :extra)

-- name: insert_owned
INSERT INTO {table} (id, owner, run_id, created_at, document, extra)
VALUES (:id, :owner, :run_id, :created_at, :document, :extra)

-- name: replace
UPDATE {table} SET document = :document WHERE id = :id

-- name: bury
INSERT OR REPLACE INTO tombstones (kind, id, seq, owner) SELECT '{kind}', id, seq, :owner FROM {table} WHERE id = :id
[owned] AND owner = :owner

-- name: delete
DELETE FROM {table} WHERE id = :id
[owned] AND owner = :owner

-- name: reply
SELECT fingerprint, reply FROM replies WHERE operation = :operation AND key = :key AND created_at > :oldest

-- name: forget_replies
DELETE FROM replies WHERE created_at <= :oldest

-- name: remember_reply
INSERT INTO replies (operation, key, fingerprint, reply, created_at)
VALUES (:operation, :key, :fingerprint, :reply, :now)
