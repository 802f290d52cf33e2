DELETE FROM login_attempts WHERE key = ANY (ARRAY(
  SELECT key FROM login_attempts
  WHERE window_started_at < clock_timestamp() - :expired_after::interval
  ORDER BY window_started_at LIMIT :at_most FOR UPDATE SKIP LOCKED
))
