SELECT NULL AS key, c.id, json_build_object(
  'id', c.id, 'email', c.email, 'former_email', c.former_email, 'created_at', c.created_at, 'expires_at', c.expires_at,
  'used_at', c.used_at
)::text AS document
FROM email_confirmations c
WHERE c.user_id = taskbell.actor() AND c.id > :past
ORDER BY c.id LIMIT :at_most
