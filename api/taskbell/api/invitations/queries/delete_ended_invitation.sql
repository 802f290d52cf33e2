-- Makes room for another invitation of an address. The id of one that was withdrawn is used again.
DELETE FROM invitations
WHERE workspace_id = :workspace_id AND email = :email AND (withdrawn_at IS NOT NULL OR expires_at <= now())
RETURNING CASE WHEN expires_at > now() THEN id END
