-- Their refresh tokens go with them.
DELETE FROM sessions WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM sessions
  WHERE expires_at < now() - interval '7 days'
  LIMIT :at_most
))
