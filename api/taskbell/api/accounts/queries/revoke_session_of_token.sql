UPDATE sessions SET revoked_at = clock_timestamp(), revoked_reason = :reason
WHERE revoked_at IS NULL AND id = (SELECT r.session_id FROM refresh_tokens r WHERE r.token_hash = :token_hash)
