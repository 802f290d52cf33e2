SELECT id, event_id, event_type, state, attempts, response_status, error,
  CASE WHEN state IN ('pending', 'retrying') THEN due_at END AS next_attempt_at, created_at, attempted_at, delivered_at
FROM deliveries
WHERE endpoint_id = :webhook_id AND channel = 'webhook'
  AND (:state::text IS NULL OR state = :state) AND (:past::uuid IS NULL OR id < :past)
ORDER BY id DESC
LIMIT :at_most
