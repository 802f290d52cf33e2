SELECT NULL AS key, t.id, json_build_object(
  'id', t.id, 'name', t.name, 'scopes', t.scopes, 'created_at', t.created_at, 'expires_at', t.expires_at,
  'last_used_at', t.last_used_at
)::text AS document
FROM personal_tokens t
WHERE t.user_id = taskbell.actor() AND t.id > :past
ORDER BY t.id LIMIT :at_most
