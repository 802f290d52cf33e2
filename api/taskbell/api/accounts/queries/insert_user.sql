INSERT INTO users (id, email, name, password_hash, personal_workspace_id)
VALUES (:id, :email, :name, :password_hash, :workspace_id)
RETURNING id, email, name, time_zone, quiet_from, quiet_until, digest_at, personal_workspace_id,
  email_confirmed_at, created_at
