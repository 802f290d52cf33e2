SELECT id, email, name, time_zone, personal_workspace_id, email_confirmed_at, created_at FROM users WHERE id = :id
