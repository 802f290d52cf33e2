SELECT count(*) FROM events
WHERE workspace_id = ANY ($1::uuid[]) AND (type LIKE 'task.%' OR type LIKE 'notification.%')
