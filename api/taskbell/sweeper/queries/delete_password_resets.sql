DELETE FROM password_resets WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM password_resets
  WHERE expires_at < now()
  LIMIT :at_most
))
