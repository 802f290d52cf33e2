SELECT id, workspace_id, email, role, invited_by, created_at, expires_at
FROM invitations
WHERE workspace_id = :workspace_id AND withdrawn_at IS NULL AND expires_at > now() AND (:past::uuid IS NULL OR id > :past)
ORDER BY id
LIMIT :at_most
