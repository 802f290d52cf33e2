UPDATE sessions SET expires_at = clock_timestamp() + :ttl, last_used_at = clock_timestamp() WHERE id = :id
