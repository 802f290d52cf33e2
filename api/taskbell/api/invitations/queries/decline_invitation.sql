UPDATE invitations SET declined_at = coalesce(declined_at, clock_timestamp())
WHERE id = :id AND withdrawn_at IS NULL AND expires_at > now()
  AND email = (SELECT lower(u.email) FROM users u WHERE u.id = taskbell.actor())
