INSERT INTO personal_tokens (id, user_id, name, scopes, token_hash, expires_at)
VALUES (:id, :user_id, :name, :scopes, :digest, :expires_at)
RETURNING id, name, scopes, created_at, expires_at, last_used_at
