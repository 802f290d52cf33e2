SELECT i.id, i.workspace_id, i.email, i.role, i.invited_by, i.created_at, i.expires_at, CASE
  WHEN i.withdrawn_at IS NOT NULL THEN 'withdrawn'
  WHEN i.expires_at <= now() THEN 'expired'
  WHEN EXISTS (
    SELECT FROM memberships m
    WHERE m.user_id = i.invited_by AND m.workspace_id = i.workspace_id
      AND (m.role = 'owner' OR (m.role = 'admin' AND i.role <> 'owner'))
  ) THEN 'open'
  ELSE 'void'
END AS state
FROM invitations i
WHERE i.workspace_id = :workspace_id AND (:ended OR (i.withdrawn_at IS NULL AND i.expires_at > now()))
  AND (:past::uuid IS NULL OR i.id > :past)
ORDER BY i.id
LIMIT :at_most
