SELECT u.email, u.email_confirmed_at IS NOT NULL AS is_confirmed, u.personal_workspace_id, u.password_version,
  EXISTS (SELECT FROM second_factors f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL) AS has_second_factor
FROM users u WHERE u.id = :id FOR NO KEY UPDATE OF u
