DELETE FROM kept_answers WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM kept_answers
  WHERE created_at < now() - interval '24 hours'
  LIMIT :at_most
))
