-- In the order of the keys, so that simultaneous calls wait for each other and never in a circle.
SELECT key, failures, window_started_at, blocked_until
FROM login_attempts
WHERE key = ANY (:keys::bytea[])
ORDER BY key
FOR UPDATE
