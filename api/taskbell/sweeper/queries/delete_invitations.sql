DELETE FROM invitations WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM invitations
  WHERE expires_at < now()
  LIMIT :at_most
))
