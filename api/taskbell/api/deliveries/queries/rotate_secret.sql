UPDATE webhooks
SET previous_secret = secret, previous_secret_expires_at = now() + :overlap::interval, secret = :secret,
  updated_at = clock_timestamp()
WHERE id = :id
RETURNING id, workspace_id, url, event_types, enabled, disabled_reason, responsible_id,
  CASE WHEN previous_secret_expires_at > now() THEN previous_secret_expires_at END AS previous_secret_expires_at,
  created_at, updated_at
