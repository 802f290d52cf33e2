SELECT u.email, u.personal_workspace_id, u.password_hash,
  coalesce(s.created_at > clock_timestamp() - :fresh::interval, false) AS is_fresh
FROM users u LEFT JOIN sessions s ON s.id = :session_id AND s.user_id = u.id
WHERE u.id = :id
