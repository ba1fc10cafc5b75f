-- Statements on objects, by name. {table} is the table of the object's kind, {kind} its name; lines that begin with
-- [owned] are for kinds whose objects have an owner, those with [run], [purpose], [batch] and [status] for lists of these
-- only, others for all. {place} is what a deleted object's place is found by, {users} the table that says who names files.

-- name: get
SELECT document FROM {table} WHERE id = :id
[owned] AND owner = :owner

-- name: get_many
SELECT id, document FROM {table} WHERE id IN (SELECT value FROM json_each(:ids))

-- name: exists
SELECT 1 FROM {table} WHERE id = :id

-- name: cursor
SELECT seq FROM {table} WHERE id = :id
[owned] AND owner = :owner
UNION ALL
SELECT seq FROM tombstones WHERE kind = '{kind}' AND id = {place} AND owner IS :owner
LIMIT 1

-- name: scan_upwards
SELECT id, document FROM {table} WHERE seq > :low AND seq < :high
[owned] AND owner = :owner
[run] AND run_id = :run
[purpose] AND purpose = :purpose
[batch] AND batch = :batch
[status] AND status = :status
ORDER BY seq LIMIT :limit

-- name: scan_downwards
SELECT id, document FROM {table} WHERE seq > :low AND seq < :high
[owned] AND owner = :owner
[run] AND run_id = :run
[purpose] AND purpose = :purpose
[batch] AND batch = :batch
[status] AND status = :status
ORDER BY seq DESC LIMIT :limit

-- name: insert
INSERT INTO {table} (id, created_at, document, extra) VALUES (:id, :created_at, :document, :extra)

-- name: insert_owned
INSERT INTO {table} (id, owner, run_id, created_at, document, extra)
VALUES (:id, :owner, :run_id, :created_at, :document, :extra)

-- name: replace
UPDATE {table} SET document = :document WHERE id = :id

-- name: bury
INSERT OR REPLACE INTO tombstones (kind, id, seq, owner) SELECT '{kind}', {place}, seq, :owner FROM {table} WHERE id = :id
[owned] AND owner = :owner

-- name: delete
DELETE FROM {table} WHERE id = :id
[owned] AND owner = :owner

-- name: remove
DELETE FROM {table} WHERE id = ?

-- name: label
INSERT INTO thread_labels (key, value, seq) SELECT ?, ?, seq FROM threads WHERE id = ?

-- name: unlabel
DELETE FROM thread_labels WHERE seq = (SELECT seq FROM threads WHERE id = ?)

-- name: scan_labelled_upwards
SELECT threads.id, threads.document FROM thread_labels AS label CROSS JOIN threads ON threads.seq = label.seq
WHERE label.key = :key AND label.value = :value AND label.seq > :low AND label.seq < :high
AND NOT EXISTS (
    SELECT 1 FROM json_each(:others) AS other WHERE NOT EXISTS (
        SELECT 1 FROM thread_labels AS also
        WHERE also.key = other.key AND also.value = other.value AND also.seq = label.seq
    )
)
ORDER BY label.seq LIMIT :limit

-- name: scan_labelled_downwards
SELECT threads.id, threads.document FROM thread_labels AS label CROSS JOIN threads ON threads.seq = label.seq
WHERE label.key = :key AND label.value = :value AND label.seq > :low AND label.seq < :high
AND NOT EXISTS (
    SELECT 1 FROM json_each(:others) AS other WHERE NOT EXISTS (
        SELECT 1 FROM thread_labels AS also
        WHERE also.key = other.key AND also.value = other.value AND also.seq = label.seq
    )
)
ORDER BY label.seq DESC LIMIT :limit

-- name: use_file
INSERT OR IGNORE INTO {users} (file_id, owner) VALUES (?, ?)

-- name: use_no_file
DELETE FROM {users} WHERE owner = ?

-- name: reply
SELECT fingerprint, reply FROM replies WHERE operation = :operation AND key = :key AND created_at > :oldest

-- name: forget_replies
DELETE FROM replies WHERE created_at <= :oldest

-- name: remember_reply
INSERT INTO replies (operation, key, fingerprint, reply, created_at)
VALUES (:operation, :key, :fingerprint, :reply, :now)
