SELECT id, email, name, time_zone, quiet_from, quiet_until, digest_at, personal_workspace_id,
  email_confirmed_at, created_at FROM users WHERE id = :id
