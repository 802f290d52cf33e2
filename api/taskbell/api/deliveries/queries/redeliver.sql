-- It begins again, for as long as it first had; not if its event is not kept any more.
UPDATE deliveries
SET state = 'pending', attempts = 0, due_at = now(), error = NULL,
  give_up_at = now() + greatest(give_up_at - created_at, interval '10 minutes')
WHERE endpoint_id = :webhook_id AND id = :id AND channel = 'webhook'
  AND (payload IS NOT NULL OR (SELECT true FROM events e WHERE e.id = event_id))
RETURNING id, event_id, event_type, state, attempts, response_status, error,
  CASE WHEN state IN ('pending', 'retrying') THEN due_at END AS next_attempt_at, created_at, attempted_at, delivered_at
