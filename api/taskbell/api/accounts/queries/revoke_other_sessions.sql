UPDATE sessions SET revoked_at = clock_timestamp(), revoked_reason = :reason
WHERE user_id = :user_id AND id IS DISTINCT FROM :keep::uuid AND revoked_at IS NULL
