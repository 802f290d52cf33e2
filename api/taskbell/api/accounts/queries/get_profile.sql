SELECT id, email, name, time_zone, personal_workspace_id, created_at FROM users WHERE id = :id
