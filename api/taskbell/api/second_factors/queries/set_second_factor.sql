-- One that waits to be confirmed is replaced; one that is confirmed stays.
INSERT INTO second_factors AS f (user_id, secret) VALUES (:user_id, :secret)
ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, last_step = NULL, created_at = clock_timestamp()
WHERE f.confirmed_at IS NULL
