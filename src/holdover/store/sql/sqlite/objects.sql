-- Statements on objects, by name. {table} is the table of the object's kind, {kind} its name.

-- name: get
SELECT document FROM {table} WHERE id = :id

-- name: exists
SELECT 1 FROM {table} WHERE id = :id

-- name: cursor
SELECT seq FROM {table} WHERE id = :id
UNION ALL
SELECT seq FROM tombstones WHERE kind = '{kind}' AND id = :id
LIMIT 1

-- name: scan_upwards
SELECT id, document FROM {table} WHERE seq > :low AND seq < :high ORDER BY seq LIMIT :limit

-- name: scan_downwards
SELECT id, document FROM {table} WHERE seq > :low AND seq < :high ORDER BY seq DESC LIMIT :limit

-- name: insert
INSERT INTO {table} (id, created_at, document, extra) VALUES (:id, :created_at, :document, :extra)

-- name: replace
UPDATE {table} SET document = :document WHERE id = :id

-- name: bury
INSERT OR REPLACE INTO tombstones (kind, id, seq) SELECT '{kind}', id, seq FROM {table} WHERE id = :id

-- name: delete
DELETE FROM {table} WHERE id = :id

-- name: reply
SELECT fingerprint, reply FROM replies WHERE operation = :operation AND key = :key AND created_at > :oldest

-- name: forget_replies
DELETE FROM replies WHERE created_at <= :oldest

-- name: remember_reply
INSERT INTO replies (operation, key, fingerprint, reply, created_at)
VALUES (:operation, :key, :fingerprint, :reply, :now)
