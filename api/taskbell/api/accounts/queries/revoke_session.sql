UPDATE sessions SET revoked_at = clock_timestamp(), revoked_reason = :reason WHERE id = :id AND revoked_at IS NULL
