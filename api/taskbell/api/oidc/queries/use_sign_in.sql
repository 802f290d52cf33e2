WITH expired AS (
  DELETE FROM used_sign_ins WHERE id = ANY (ARRAY(
    SELECT id FROM used_sign_ins WHERE expires_at < clock_timestamp()
    ORDER BY expires_at LIMIT :cleaned FOR UPDATE SKIP LOCKED
  ))
)
INSERT INTO used_sign_ins (id, expires_at) VALUES (:id, :expires_at) ON CONFLICT DO NOTHING
