SELECT email, email_confirmed_at IS NOT NULL AS is_confirmed, personal_workspace_id, password_version
FROM users WHERE id = :id FOR NO KEY UPDATE
