-- A channel that is switched on receives notifications from now on.
INSERT INTO email_channels AS c (user_id, enabled, kinds) VALUES (:user_id, :enabled, :kinds)
ON CONFLICT (user_id) DO UPDATE
SET enabled = excluded.enabled, kinds = excluded.kinds,
  enabled_at = CASE WHEN excluded.enabled AND NOT c.enabled THEN clock_timestamp() ELSE c.enabled_at END,
  updated_at = clock_timestamp()
