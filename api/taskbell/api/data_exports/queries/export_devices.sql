SELECT NULL AS key, e.id, json_build_object(
  'id', e.id, 'kind', e.kind, 'name', e.name, 'environment', e.environment, 'created_at', e.created_at,
  'registered_at', e.registered_at
)::text AS document
FROM alert_endpoints e
WHERE e.user_id = taskbell.actor() AND e.id > :past
ORDER BY e.id LIMIT :at_most
