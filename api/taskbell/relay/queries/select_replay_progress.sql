-- How far the replay has come: `waiting` until the relay begins it; `window_last_id` moves until the window is done.
SELECT epoch, stream_sequence, replay_from IS NOT NULL AS waiting, window_snapshot IS NOT NULL AS carrying,
  window_last_id, lease_holder IS NOT NULL AND lease_expires_at > clock_timestamp() AS relay_active
FROM relay_state
