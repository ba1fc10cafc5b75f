-- Statements on runs as jobs, by name.

-- name: insert_run
INSERT INTO runs (id, owner, created_at, document, extra, status, worker, lease_until, expires_at)
VALUES (:id, :owner, :created_at, :document, :extra, :status, :worker, :lease_until, :expires_at)

-- name: run
SELECT id, owner, document, extra, status, epoch, attempts, worker, lease_until, expires_at FROM runs WHERE id = ?

-- name: write_run
UPDATE runs SET
    status = :status, document = :document, extra = :extra, epoch = :epoch, attempts = :attempts, worker = :worker,
    lease_until = :lease_until, expires_at = :expires_at
WHERE id = :id

-- name: write_same_status
-- The indexes on the status are not touched, which takes a third of the time.
UPDATE runs SET
    document = :document, extra = :extra, epoch = :epoch, attempts = :attempts, worker = :worker,
    lease_until = :lease_until, expires_at = :expires_at
WHERE id = :id

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
