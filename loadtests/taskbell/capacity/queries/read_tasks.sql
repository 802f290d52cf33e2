SELECT id, title, version FROM tasks WHERE workspace_id = ANY ($1::uuid[])
