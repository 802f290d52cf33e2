SELECT role FROM invitations
WHERE id = :id AND workspace_id = :workspace_id AND withdrawn_at IS NULL AND expires_at > now()
