SELECT NULL AS key, w.id, json_build_object(
  'id', w.id, 'workspace_id', w.workspace_id, 'url', w.url, 'event_types', w.event_types, 'enabled', w.enabled,
  'created_by', w.created_by, 'responsible_id', w.responsible_id, 'created_at', w.created_at, 'updated_at', w.updated_at
)::text AS document
FROM webhooks w
WHERE (w.created_by = taskbell.actor() OR w.responsible_id = taskbell.actor()) AND w.id > :past
ORDER BY w.id LIMIT :at_most
