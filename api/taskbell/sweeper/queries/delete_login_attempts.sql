DELETE FROM login_attempts WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM login_attempts
  WHERE window_started_at < now() - interval '1 day' AND (blocked_until IS NULL OR blocked_until < now())
  LIMIT :at_most
))
