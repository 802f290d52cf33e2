-- A webhook that is switched on receives events from now on, and forgets why it was off. Who sets its address or switches
-- it on is responsible for it.
UPDATE webhooks
SET url = coalesce(:url, url),
  event_types = coalesce(:event_types, event_types),
  enabled = coalesce(:enabled, enabled),
  enabled_at = CASE WHEN :enabled AND NOT enabled THEN clock_timestamp() ELSE enabled_at END,
  disabled_reason = CASE WHEN :enabled IS NULL THEN disabled_reason END,
  responsible_id = CASE WHEN :url IS NOT NULL OR :enabled THEN taskbell.actor() ELSE responsible_id END,
  updated_at = clock_timestamp()
WHERE id = :id
RETURNING id, workspace_id, url, event_types, enabled, disabled_reason, responsible_id,
  CASE WHEN previous_secret_expires_at > now() THEN previous_secret_expires_at END AS previous_secret_expires_at,
  created_at, updated_at
