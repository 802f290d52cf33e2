-- $1 workspace, $2 number of tasks
SELECT id FROM tasks WHERE workspace_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2
