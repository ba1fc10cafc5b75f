-- Statements on runs as jobs, and on what threads are found by; by name.

-- name: insert_run
INSERT INTO runs (id, owner, created_at, document, extra, status, worker, lease_until, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: run
SELECT id, owner, document, extra, status, epoch, attempts, worker, lease_until, expires_at FROM runs WHERE id = ?

-- name: write_run
UPDATE runs SET status = ?, document = ?, extra = ?, epoch = ?, attempts = ?, worker = ?, lease_until = ?, expires_at = ?
WHERE id = ?

-- name: active_run
SELECT id FROM runs WHERE owner = ? AND status IN ('queued', 'in_progress', 'requires_action', 'cancelling')

-- name: claimable
SELECT id FROM runs INDEXED BY active_runs
WHERE status IN ('queued', 'in_progress', 'requires_action', 'cancelling')
AND status = 'queued' AND (lease_until IS NULL OR lease_until <= :now) AND expires_at > :now
ORDER BY seq LIMIT :limit

-- name: due
SELECT id FROM runs INDEXED BY active_runs
WHERE status IN ('queued', 'in_progress', 'requires_action', 'cancelling')
AND (expires_at <= :now OR (status IN ('in_progress', 'cancelling') AND coalesce(lease_until, 0) <= :now))
ORDER BY min(expires_at, coalesce(lease_until, expires_at)) LIMIT :limit

-- name: renew
UPDATE runs SET lease_until = :until
FROM json_each(:held) AS held
WHERE runs.id = held.key AND runs.epoch = held.value AND runs.worker = :worker AND runs.lease_until IS NOT NULL
RETURNING runs.id, runs.status

-- name: void_leases
UPDATE runs SET lease_until = 0
WHERE status IN ('queued', 'in_progress', 'requires_action', 'cancelling') AND lease_until IS NOT NULL

-- name: replace_document
UPDATE {table} SET document = ? WHERE id = ?

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
