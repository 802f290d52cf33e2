SELECT to_json(t)::text FROM tasks t WHERE id = $1
