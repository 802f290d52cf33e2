SELECT NULL AS key, i.id, json_build_object(
  'id', i.id, 'workspace_id', i.workspace_id, 'email', i.email, 'role', i.role, 'invited_by', i.invited_by,
  'created_at', i.created_at, 'expires_at', i.expires_at, 'withdrawn_at', i.withdrawn_at,
  'declined_at', CASE WHEN i.invited_by <> taskbell.actor() THEN i.declined_at END
)::text AS document
FROM invitations i
WHERE (i.invited_by = taskbell.actor() OR i.email = (SELECT lower(u.email) FROM users u WHERE u.id = taskbell.actor())) AND i.id > :past
ORDER BY i.id LIMIT :at_most
