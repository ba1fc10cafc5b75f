-- Statements on objects, by name. {table} is the table of the object's kind, {kind} its name, {number} its number among
-- locks; lines that begin with [owned] are for kinds whose objects have an owner, those with [run], [purpose], [batch]
-- and [status] for lists of these only, those with [locked] for reading what is then changed, those with [written] for
-- what is only done if the run was written in the same statement ("write_known"), others for all.
-- {place} is what a deleted object's place is found by, {users} the table that says who names files.

-- name: get
SELECT document FROM {table} WHERE id = :id
[owned] AND owner = :owner
[locked] FOR NO KEY UPDATE

-- name: get_many
SELECT id, document FROM {table} WHERE id = ANY(:ids::text[])

-- name: exist
-- In one order, so that two who ask for the same do not wait for each other.
SELECT id FROM {table} WHERE id = ANY(:ids::text[]) ORDER BY seq FOR KEY SHARE

-- name: exists
SELECT 1 FROM {table} WHERE id = :id FOR KEY SHARE

-- name: cursor
SELECT coalesce(
    (
        SELECT seq FROM {table} WHERE id = :id
[owned] AND owner = :owner
    ),
    (SELECT seq FROM tombstones WHERE kind = '{kind}' AND id = {place} AND owner IS NOT DISTINCT FROM :owner)
)

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
-- Of two that insert at the same time, the one with the higher seq may commit first. A list that goes upwards would show
-- it, be continued after it, and never show the other. So those who insert share a lock, and a list that goes upwards
-- begins by waiting until nobody has it ("settle"). The lock is taken before the number: the row comes out of "inserting".
WITH inserting AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared({application}, {number}))
INSERT INTO {table} (id, created_at, document, extra)
SELECT :id::text, :created_at::bigint, :document::bytea, :extra::bytea FROM inserting

-- name: settle
-- The list is read by a statement of its own, whose view of the data is younger than this.
SELECT pg_advisory_xact_lock({application}, {number})

-- name: insert_owned
-- These need no such lock: whoever inserts holds the row of the owner, or that of the run that locks the owner.
INSERT INTO {table} (id, owner, run_id, created_at, document, extra)
SELECT :id::text, :owner::text, :run_id::text, :created_at::bigint, :document::bytea, :extra::bytea
[written] FROM written

-- name: replace
UPDATE {table} SET document = :document
[written] FROM written
WHERE id = :id

-- name: delete
WITH gone AS (
    DELETE FROM {table} WHERE id = :id
[owned] AND owner = :owner
    RETURNING id, seq
)
INSERT INTO tombstones (kind, id, owner, seq) SELECT '{kind}', {place}, :owner::text, seq FROM gone
ON CONFLICT (kind, id) DO UPDATE SET owner = excluded.owner, seq = excluded.seq
RETURNING id

-- name: remove
DELETE FROM {table}
[written] USING written
WHERE id = :id

-- name: use_files
INSERT INTO {users} (file_id, owner) SELECT DISTINCT file_id, :owner::text FROM unnest(:file_ids::text[]) AS named (file_id)

-- name: use_no_file
DELETE FROM {users} WHERE owner = :owner

-- name: reply
SELECT fingerprint, reply FROM replies WHERE operation = :operation AND key = :key AND created_at > :oldest

-- name: forget_replies
-- What another is forgetting at the same moment need not be waited for.
DELETE FROM replies WHERE (operation, key) IN (
    SELECT operation, key FROM replies WHERE created_at <= :oldest FOR UPDATE SKIP LOCKED
)

-- name: remember_reply
INSERT INTO replies (operation, key, fingerprint, reply, created_at)
VALUES (:operation, :key, :fingerprint, :reply, :now)

-- name: label
INSERT INTO thread_labels (key, value, seq)
SELECT label.key, label.value, threads.seq
FROM threads, unnest(:keys::text[], :values::text[]) AS label (key, value)
WHERE threads.id = :id

-- name: unlabel
DELETE FROM thread_labels WHERE seq = (SELECT seq FROM threads WHERE id = :id)

-- name: scan_labelled_upwards
SELECT threads.id, threads.document FROM thread_labels AS label JOIN threads ON threads.seq = label.seq
WHERE label.key = :key AND label.value = :value AND label.seq > :low AND label.seq < :high
AND NOT EXISTS (
    SELECT FROM unnest(:keys::text[], :values::text[]) AS other (key, value) WHERE NOT EXISTS (
        SELECT FROM thread_labels AS also
        WHERE also.key = other.key AND also.value = other.value AND also.seq = label.seq
    )
)
ORDER BY label.seq LIMIT :limit

-- name: scan_labelled_downwards
SELECT threads.id, threads.document FROM thread_labels AS label JOIN threads ON threads.seq = label.seq
WHERE label.key = :key AND label.value = :value AND label.seq > :low AND label.seq < :high
AND NOT EXISTS (
    SELECT FROM unnest(:keys::text[], :values::text[]) AS other (key, value) WHERE NOT EXISTS (
        SELECT FROM thread_labels AS also
        WHERE also.key = other.key AND also.value = other.value AND also.seq = label.seq
    )
)
ORDER BY label.seq DESC LIMIT :limit
