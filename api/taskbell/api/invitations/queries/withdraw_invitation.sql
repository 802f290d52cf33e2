UPDATE invitations SET withdrawn_at = clock_timestamp() WHERE id = :id AND withdrawn_at IS NULL AND expires_at > now()
