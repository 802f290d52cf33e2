SELECT id, type, subject_id, workspace_id, actor_id, audience, data FROM events
WHERE workspace_id = ANY ($1::uuid[]) AND (type LIKE 'task.%' OR type LIKE 'notification.%')
