INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, event_type, payload, give_up_at)
VALUES (:event_id, 'webhook', :webhook_id, :workspace_id, :event_type, :payload, now() + :retry_for::interval)
RETURNING id, event_id, event_type, state, attempts, response_status, error,
  CASE WHEN state IN ('pending', 'retrying') THEN due_at END AS next_attempt_at, created_at, attempted_at, delivered_at
