-- Statements on the files of vector stores as jobs, by name. Lines that begin with [file], [unclaimed], [batch] and [stale]
-- say which rows are meant, those with [by_store] and [by_batch] what is counted by. Only what differs from SQLite is explained.

-- name: lock_store
-- Of two that add files to one store, the one with the higher seq must not commit first: see "insert". And who adds files
-- after others were cancelled, or the store was deleted, comes after that.
SELECT 1 FROM vector_stores WHERE id = :id FOR NO KEY UPDATE

-- name: add_store_file
INSERT INTO vector_store_files AS old (id, owner, created_at, document, status, batch, size)
VALUES (:id, :owner, :created_at, :document, 'in_progress', :batch, :size)
ON CONFLICT (owner, id) DO UPDATE SET
    document = excluded.document, created_at = excluded.created_at, status = 'in_progress',
    batch = excluded.batch, size = excluded.size, epoch = old.epoch + 1, attempts = 0, worker = NULL, lease_until = NULL

-- name: is_unclaimed
SELECT 1 FROM vector_store_files
WHERE status = 'in_progress' AND (lease_until IS NULL OR lease_until <= extract(epoch FROM clock_timestamp()))
LIMIT 1

-- name: store_files
-- The clock is read outside, when the rows are locked: after the wait for them, not before.
SELECT locked.*, extract(epoch FROM clock_timestamp())::float8 AS now
FROM (
    SELECT seq, id, owner AS store_id, document, status, usage_bytes, batch, epoch, attempts, worker, lease_until, embedder, chunking
    FROM vector_store_files
[file] WHERE owner = :owner AND id = :id
[unclaimed] WHERE status = 'in_progress' AND (lease_until IS NULL OR lease_until <= extract(epoch FROM clock_timestamp()))
[unclaimed] ORDER BY size, seq
[batch] WHERE batch = :id AND status = 'in_progress' ORDER BY seq
[stale] WHERE status = 'completed' AND embedder IS DISTINCT FROM :id ORDER BY seq
    LIMIT :limit
[file] FOR NO KEY UPDATE
[batch] FOR NO KEY UPDATE
[unclaimed] FOR NO KEY UPDATE SKIP LOCKED
[stale] FOR NO KEY UPDATE SKIP LOCKED
) AS locked

-- name: write_store_file
UPDATE vector_store_files SET
    status = :status, document = :document, usage_bytes = :usage_bytes, epoch = :epoch, attempts = :attempts,
    worker = :worker, lease_until = :lease_until, embedder = :embedder, chunking = :chunking
WHERE seq = :seq

-- name: count_store_files
SELECT
[by_store] owner,
[by_batch] batch,
status, count(*)::bigint, sum(usage_bytes)::bigint FROM vector_store_files
[by_store] WHERE owner = ANY(:ids::text[]) GROUP BY owner, status
[by_batch] WHERE batch = ANY(:ids::text[]) GROUP BY batch, status

-- name: renew_store_files
UPDATE vector_store_files SET lease_until = extract(epoch FROM clock_timestamp())::float8 + :seconds::float8
FROM unnest(:held::bigint[], :epochs::integer[]) AS held (seq, epoch)
WHERE vector_store_files.seq = held.seq AND vector_store_files.epoch = held.epoch AND worker = :worker
AND lease_until IS NOT NULL AND status = 'in_progress'
RETURNING vector_store_files.seq
