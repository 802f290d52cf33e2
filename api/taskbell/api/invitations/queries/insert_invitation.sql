INSERT INTO invitations (id, workspace_id, email, role, invited_by, expires_at)
VALUES (:id, :workspace_id, :email, :role, :actor, now() + :lifetime::interval)
ON CONFLICT DO NOTHING
RETURNING id, workspace_id, email, role, invited_by, created_at, expires_at, 'open' AS state
