-- Statements on the files of vector stores as jobs, by name. Lines that begin with [file], [unclaimed], [batch] and [stale]
-- say which rows are meant, those with [by_store] and [by_batch] what is counted by.

-- name: add_store_file
-- A file that is there already begins again: whoever is indexing it finds another epoch. Its place stays, and
-- so does what is found of it, until it is indexed again.
INSERT INTO vector_store_files (id, owner, created_at, document, status, batch, size)
VALUES (:id, :owner, :created_at, :document, 'in_progress', :batch, :size)
ON CONFLICT (owner, id) DO UPDATE SET
    document = excluded.document, created_at = excluded.created_at, status = 'in_progress',
    batch = excluded.batch, size = excluded.size, epoch = epoch + 1, attempts = 0, worker = NULL, lease_until = NULL

-- name: store_files
SELECT seq, id, owner AS store_id, document, status, usage_bytes, batch, epoch, attempts, worker, lease_until, embedder, chunking
FROM vector_store_files
[file] WHERE owner = :owner AND id = :id
[unclaimed] INDEXED BY files_to_index WHERE status = 'in_progress' AND (lease_until IS NULL OR lease_until <= :now)
[unclaimed] ORDER BY size, seq
[batch] WHERE batch = :id AND status = 'in_progress'
[stale] WHERE status = 'completed' AND embedder IS NOT :id
LIMIT :limit

-- name: write_store_file
UPDATE vector_store_files SET
    status = :status, document = :document, usage_bytes = :usage_bytes, epoch = :epoch, attempts = :attempts,
    worker = :worker, lease_until = :lease_until, embedder = :embedder, chunking = :chunking
WHERE seq = :seq

-- name: count_store_files
SELECT
[by_store] owner,
[by_batch] batch,
status, count(*), sum(usage_bytes) FROM vector_store_files
[by_store] WHERE owner IN (SELECT value FROM json_each(:ids)) GROUP BY owner, status
[by_batch] WHERE batch IN (SELECT value FROM json_each(:ids)) GROUP BY batch, status

-- name: renew_store_files
UPDATE vector_store_files SET lease_until = :until
FROM json_each(:held) AS held
WHERE seq = CAST(held.key AS INTEGER) AND epoch = held.value AND worker = :worker AND lease_until IS NOT NULL
AND status = 'in_progress'
RETURNING seq

-- name: void_file_leases
UPDATE vector_store_files SET lease_until = 0 WHERE status = 'in_progress' AND lease_until IS NOT NULL
