SELECT EXISTS (SELECT FROM alert_endpoints a WHERE a.user_id = u.id AND a.kind IN ('fcm', 'apns', 'webpush')) AS push,
  u.email_confirmed_at IS NOT NULL AND EXISTS (SELECT FROM email_channels e WHERE e.user_id = u.id AND e.enabled) AS email,
  EXISTS (SELECT FROM alert_endpoints a WHERE a.user_id = u.id AND a.kind = 'slack') AS slack,
  EXISTS (SELECT FROM alert_endpoints a WHERE a.user_id = u.id AND a.kind = 'teams') AS teams
FROM users u WHERE u.id = :user_id
