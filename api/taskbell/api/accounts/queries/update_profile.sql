UPDATE users
SET name = coalesce(:name, name), time_zone = coalesce(:time_zone, time_zone),
  quiet_from = CASE WHEN :sets_quiet_hours::boolean THEN :quiet_from ELSE quiet_from END,
  quiet_until = CASE WHEN :sets_quiet_hours::boolean THEN :quiet_until ELSE quiet_until END,
  digest_at = CASE WHEN :sets_digest::boolean THEN :digest_at ELSE digest_at END,
  updated_at = clock_timestamp()
WHERE id = :id
RETURNING id, email, name, time_zone, quiet_from, quiet_until, digest_at, personal_workspace_id,
  email_confirmed_at, created_at
