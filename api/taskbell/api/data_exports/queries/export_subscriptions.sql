SELECT NULL AS key, s.task_id AS id, json_build_object(
  'task_id', s.task_id, 'workspace_id', s.workspace_id, 'state', s.state, 'created_at', s.created_at
)::text AS document
FROM task_subscriptions s
WHERE s.user_id = taskbell.actor() AND s.task_id > :past
ORDER BY s.task_id LIMIT :at_most
