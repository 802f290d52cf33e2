SELECT NULL AS key, s.id, json_build_object(
  'id', s.id, 'client', s.client, 'created_at', s.created_at, 'last_used_at', s.last_used_at,
  'expires_at', s.expires_at, 'ended_at', s.revoked_at, 'reason', s.revoked_reason
)::text AS document
FROM sessions s
WHERE s.user_id = taskbell.actor() AND s.id > :past
ORDER BY s.id LIMIT :at_most
