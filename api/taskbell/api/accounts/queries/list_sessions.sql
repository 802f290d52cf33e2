SELECT id, created_at, last_used_at, expires_at, client, id = :present AS current
FROM sessions
WHERE user_id = :user_id AND revoked_at IS NULL AND expires_at > clock_timestamp() AND (:past::uuid IS NULL OR id < :past)
ORDER BY id DESC
LIMIT :at_most
