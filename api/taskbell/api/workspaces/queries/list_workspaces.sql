SELECT w.id, w.name, m.role, w.created_at
FROM memberships m JOIN workspaces w ON w.id = m.workspace_id
WHERE m.user_id = :actor AND (:past::uuid IS NULL OR w.id > :past)
ORDER BY w.id
LIMIT :at_most
