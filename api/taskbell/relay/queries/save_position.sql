-- Save how far the stream has come, if the term still lasts. The commit does not wait for the disk. That is safe: what
-- a crash takes back is found again as the messages beyond stream_sequence; and a snapshot that can be read after a
-- crash was in the log before every later transaction, so its ids are never given out again.
WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', :wait_for_disk, true))
UPDATE relay_state
SET stream_sequence = :sequence, done_snapshot = :done::text::pg_snapshot, window_snapshot = :window::text::pg_snapshot,
  window_last_id = :window_last_id, stream_server = :server
FROM quick
WHERE lease_holder = :holder AND lease_epoch = :term
