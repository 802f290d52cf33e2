-- The update changes nothing, but locks rows that exist: in the order of the keys, so that simultaneous calls wait for
-- each other and never in a circle. The clock is read when the lock is held.
INSERT INTO login_attempts AS a (key) SELECT k FROM unnest(:keys::bytea[]) k ORDER BY k
ON CONFLICT (key) DO UPDATE SET key = a.key
RETURNING a.key, a.failures, a.window_started_at, a.blocked_until, clock_timestamp() AS now
