-- Remember how far the stream has come, if the lease still is that of term $2 of $1. The commit does not wait for the
-- disk. That is safe: what a crash takes back is found again as the messages beyond stream_sequence; and a snapshot
-- that can be read after a crash was in the log before every later transaction, so its ids are never given out again.
WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', $7, true))
UPDATE relay_state
SET stream_sequence = $3, done_snapshot = $4::text::pg_snapshot, window_snapshot = $5::text::pg_snapshot,
  window_last_id = $6
FROM quick
WHERE lease_holder = $1 AND lease_epoch = $2
RETURNING 1
