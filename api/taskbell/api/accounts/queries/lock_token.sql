SELECT r.used_at, s.revoked_at, s.expires_at, s.id, u.personal_workspace_id, u.password_version, clock_timestamp() AS now
FROM refresh_tokens r JOIN sessions s ON s.id = r.session_id JOIN users u ON u.id = s.user_id
WHERE r.token_hash = :token_hash
FOR NO KEY UPDATE OF s, r
