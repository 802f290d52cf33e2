SELECT id, user_id, task_id, kind, read_at FROM notifications WHERE workspace_id = ANY ($1::uuid[])
