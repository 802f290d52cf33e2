UPDATE login_attempts a
SET failures = n.failures, window_started_at = n.window_started_at, blocked_until = n.blocked_until
FROM unnest(:keys::bytea[], :failures::int[], :window_starts::timestamptz[], :blocked_until::timestamptz[])
  AS n (key, failures, window_started_at, blocked_until)
WHERE a.key = n.key
