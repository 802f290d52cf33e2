INSERT INTO sessions (id, user_id, client, expires_at) VALUES (:id, :user_id, :client, clock_timestamp() + :ttl)
