SELECT epoch, stream_sequence, done_snapshot::text AS done, window_snapshot::text AS window, window_last_id,
  stream_server, replay_from, clock_timestamp() AS now
FROM relay_state
WHERE lease_holder = :holder AND lease_epoch = :term
