-- Begin an epoch with an empty stream: one window that holds every event visible in its snapshot after an id.
UPDATE relay_state
SET epoch = :epoch, stream_sequence = 0, done_snapshot = NULL, window_snapshot = :window::text::pg_snapshot,
  window_last_id = :after_id, replay_from = NULL, stream_server = NULL
WHERE lease_holder = :holder AND lease_epoch = :term
