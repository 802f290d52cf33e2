SELECT id, workspace_id, url, event_types, enabled, disabled_reason, responsible_id,
  CASE WHEN previous_secret_expires_at > now() THEN previous_secret_expires_at END AS previous_secret_expires_at,
  created_at, updated_at
FROM webhooks
WHERE workspace_id = :workspace_id AND (:past::uuid IS NULL OR id > :past)
ORDER BY id
LIMIT :at_most
