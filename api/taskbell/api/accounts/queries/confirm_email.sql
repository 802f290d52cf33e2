UPDATE users SET email_confirmed_at = coalesce(email_confirmed_at, clock_timestamp()), updated_at = clock_timestamp()
WHERE id = :id
RETURNING id, email, name, time_zone, quiet_from, quiet_until, digest_at, personal_workspace_id,
  email_confirmed_at, created_at
