-- Statements on runs as jobs; by name. Every time is the database's, in Unix seconds.

-- name: now
SELECT extract(epoch FROM clock_timestamp())::float8

-- name: insert_run
INSERT INTO runs (id, owner, created_at, document, extra, status, worker, lease_until, expires_at)
VALUES (
    :id, :owner, :created_at, :document, :extra, :status,
    :worker, extract(epoch FROM clock_timestamp())::float8 + :lease_s::float8, :expires_at
)

-- name: run
-- The clock is read outside, when the row is locked: after the wait for it, not before.
SELECT locked.*, extract(epoch FROM clock_timestamp())::float8 AS now
FROM (
    SELECT id, owner AS thread_id, document, extra, status, epoch, attempts, worker, lease_until, expires_at
    FROM runs WHERE id = :id
    FOR NO KEY UPDATE
) AS locked

-- name: write_run
UPDATE runs SET
    status = :status, document = :document, extra = :extra, epoch = :epoch, attempts = :attempts,
    worker = :worker, lease_until = :lease_until, expires_at = :expires_at
WHERE id = :id

-- name: write_known
-- The run is written if it is still as it was when the change was made of it. Its lease may have been renewed since.
UPDATE runs SET
    status = :status, document = :document, extra = :extra, attempts = :attempts, expires_at = :expires_at,
    lease_until = CASE WHEN :keeps_lease::boolean THEN lease_until END
WHERE id = :id AND epoch = :epoch AND worker = :worker AND lease_until IS NOT NULL
AND status = :known_status AND document = :known_document AND extra IS NOT DISTINCT FROM :known_extra
RETURNING 1

-- name: unflushed
SELECT set_config('synchronous_commit', 'off', true)

-- name: notify
SELECT pg_notify('holdover', :told)

-- name: active_run
SELECT id FROM runs WHERE owner = :owner AND status IN ('queued', 'in_progress', 'requires_action', 'cancelling')

-- name: lock_thread
-- Whoever adds to an idle thread holds this. It does not keep the driver of its run from adding messages.
SELECT 1 FROM threads WHERE id = :id FOR NO KEY UPDATE

-- name: lock_active_run
SELECT id FROM runs WHERE owner = :owner AND status IN ('queued', 'in_progress', 'requires_action', 'cancelling')
FOR UPDATE

-- name: is_claimable
SELECT 1 FROM runs
WHERE status = 'queued'
AND (lease_until IS NULL OR lease_until <= extract(epoch FROM clock_timestamp()))
AND expires_at > extract(epoch FROM clock_timestamp())
LIMIT 1

-- name: claim
SELECT locked.*, extract(epoch FROM clock_timestamp())::float8 AS now
FROM (
    SELECT id, owner AS thread_id, document, extra, status, epoch, attempts, worker, lease_until, expires_at
    FROM runs
    WHERE status = 'queued'
    AND (lease_until IS NULL OR lease_until <= extract(epoch FROM clock_timestamp()))
    AND expires_at > extract(epoch FROM clock_timestamp())
    ORDER BY seq LIMIT :limit
    FOR NO KEY UPDATE SKIP LOCKED
) AS locked

-- name: due
SELECT id FROM runs
WHERE status IN ('queued', 'in_progress', 'requires_action', 'cancelling')
AND (
    expires_at <= extract(epoch FROM clock_timestamp())
    OR (status IN ('in_progress', 'cancelling') AND coalesce(lease_until, 0) <= extract(epoch FROM clock_timestamp()))
)
ORDER BY least(expires_at, lease_until) LIMIT :limit

-- name: renew
UPDATE runs SET lease_until = extract(epoch FROM clock_timestamp())::float8 + :seconds::float8
FROM unnest(:ids::text[], :epochs::integer[]) AS held (id, epoch)
WHERE runs.id = held.id AND runs.epoch = held.epoch AND runs.worker = :worker AND runs.lease_until IS NOT NULL
RETURNING runs.id, runs.status
