-- Letters of the last day are counted, also those of invitations that are over.
DELETE FROM invitation_letters WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM invitation_letters
  WHERE invitation_id IS NULL AND created_at < now() - interval '1 day'
  LIMIT :at_most
))
