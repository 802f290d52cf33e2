SELECT id, name, scopes, created_at, expires_at, last_used_at
FROM personal_tokens
WHERE user_id = :user_id AND (:past::uuid IS NULL OR id > :past)
ORDER BY id
LIMIT :at_most
