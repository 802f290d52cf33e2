-- A queue is what waits for one receiver: the order and the expression are those of the index deliveries_queue_idx.
WITH due AS (
  SELECT d.event_id, d.channel, d.endpoint_id
  FROM unnest(:channels::text[], :queues::uuid[], :places::int[]) AS q (channel, id, places)
  CROSS JOIN LATERAL (
    SELECT event_id, channel, endpoint_id FROM deliveries
    WHERE state IN ('pending', 'retrying') AND due_at <= now() AND channel = q.channel
      AND CASE WHEN channel IN ('webhook', 'webpush', 'slack', 'teams') THEN endpoint_id ELSE workspace_id END = q.id
    ORDER BY due_at LIMIT q.places FOR UPDATE SKIP LOCKED
  ) d
), taken AS (
  UPDATE deliveries d SET due_at = now() + :lease::interval, attempts = d.attempts + 1, attempted_at = now()
  FROM due WHERE d.event_id = due.event_id AND d.channel = due.channel AND d.endpoint_id = due.endpoint_id
  RETURNING d.*
)
SELECT t.id, t.event_id, t.channel, t.endpoint_id, t.workspace_id, t.event_type, t.payload, t.traceparent, t.attempts,
  extract(epoch FROM t.give_up_at - now())::float8 AS remaining,
  extract(epoch FROM now() - t.created_at)::float8 AS age,
  w.url, w.enabled, w.secret, CASE WHEN w.previous_secret_expires_at > now() THEN w.previous_secret END AS previous,
  CASE WHEN t.event_type = 'email.confirmation' OR c.enabled AND u.email_confirmed_at IS NOT NULL THEN u.email END AS email,
  v.subject_id, v.actor_id, v.traceparent AS event_traceparent, v.created_at AS event_time, v.data::text AS data
FROM taken t
LEFT JOIN events v ON t.payload IS NULL AND v.id = t.event_id AND v.workspace_id = t.workspace_id
LEFT JOIN webhooks w ON t.channel = 'webhook' AND w.id = t.endpoint_id
LEFT JOIN email_channels c ON t.channel = 'email' AND c.user_id = t.endpoint_id
LEFT JOIN users u ON t.channel = 'email' AND u.id = t.endpoint_id
