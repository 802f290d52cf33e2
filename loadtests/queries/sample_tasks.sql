SELECT id FROM tasks WHERE workspace_id = $1 ORDER BY position LIMIT 5000
