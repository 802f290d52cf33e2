SELECT coalesce(c.enabled, false) AS enabled, coalesce(c.kinds, '{*}') AS kinds, u.email AS address,
  u.email_confirmed_at IS NOT NULL AS confirmed
FROM users u LEFT JOIN email_channels c ON c.user_id = u.id
WHERE u.id = :user_id
