INSERT INTO sessions (id, user_id, expires_at) VALUES (:id, :user_id, clock_timestamp() + :ttl)
