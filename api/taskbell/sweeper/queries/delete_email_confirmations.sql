DELETE FROM email_confirmations WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM email_confirmations
  WHERE created_at < now() - interval '1 day' AND expires_at < now()
  LIMIT :at_most
))
