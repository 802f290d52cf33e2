SELECT NULL AS key, m.workspace_id AS id, json_build_object(
  'workspace_id', m.workspace_id, 'name', w.name, 'role', m.role, 'since', m.created_at,
  'founded', w.created_by = taskbell.actor()
)::text AS document
FROM memberships m JOIN workspaces w ON w.id = m.workspace_id
WHERE m.user_id = taskbell.actor() AND m.workspace_id > :past
ORDER BY m.workspace_id LIMIT :at_most
