UPDATE sessions SET expires_at = clock_timestamp() + :ttl WHERE id = :id
