SELECT id, workspace_id, workspace_name, role, invited_by, inviter_name, inviter_email, created_at, expires_at, declined_at
FROM taskbell.invitations_to_actor(NULL, :past, :at_most)
