-- An alert that may be on a device although its notification is read: it was attempted. FOR SHARE waits for claims that
-- are being made, which may not have seen yet that it is read. One that is in flight is taken back after its lease.
WITH shown AS (
  SELECT d.notification_id, d.channel, d.endpoint_id, d.attempts,
    CASE WHEN d.state IN ('pending', 'retrying') THEN least(d.due_at, d.attempted_at + :lease::interval) END AS over_at
  FROM deliveries d
  WHERE d.notification_id = ANY (:notifications::uuid[]) AND d.channel = ANY (:channels::text[])
    AND d.channel IN ('fcm', 'apns', 'webpush') AND d.event_type = 'notification.created'
  FOR SHARE
)
INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, notification_id, event_type, payload, traceparent,
  due_at, give_up_at)
SELECT e.id, s.channel, s.endpoint_id, e.workspace_id, e.notification_id, e.type,
  CASE WHEN (SELECT true FROM events v WHERE v.id = e.id AND v.workspace_id = e.workspace_id) THEN NULL
    ELSE e.payload END,
  e.traceparent, greatest(s.over_at, now()), greatest(s.over_at, now()) + :retry_for::interval
FROM unnest(:ids::uuid[], :workspaces::uuid[], :types::text[], :times::timestamptz[], :payloads::text[],
  :traceparents::text[], :notifications::uuid[]) AS e (id, workspace_id, type, time, payload, traceparent, notification_id)
JOIN shown s ON s.notification_id = e.notification_id AND s.attempts > 0
JOIN alert_endpoints a ON a.id = s.endpoint_id
ON CONFLICT DO NOTHING
