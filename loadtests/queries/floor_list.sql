SELECT to_json(t)::text FROM tasks t WHERE workspace_id = $1 ORDER BY position, id LIMIT $2
