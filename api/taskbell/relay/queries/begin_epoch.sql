-- Begin epoch $3 with an empty stream: one window that holds every event visible in snapshot $5 after id $4.
UPDATE relay_state
SET epoch = $3, stream_sequence = 0, done_snapshot = NULL, window_snapshot = $5::text::pg_snapshot,
  window_last_id = $4, replay_from = NULL
WHERE lease_holder = $1 AND lease_epoch = $2
RETURNING 1
