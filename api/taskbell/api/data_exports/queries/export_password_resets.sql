SELECT NULL AS key, r.id, json_build_object(
  'id', r.id, 'email', r.email, 'created_at', r.created_at, 'expires_at', r.expires_at, 'used_at', r.used_at
)::text AS document
FROM password_resets r
WHERE r.user_id = taskbell.actor() AND r.id > :past
ORDER BY r.id LIMIT :at_most
