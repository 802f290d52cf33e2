-- Where each notification is to be told, with the reader's quiet hours. An endpoint is told nothing from before it was
-- registered or switched on, so that a replay floods nobody; an address that is not confirmed is told nothing at all.
-- `sent`: how many e-mails the user got within the period, counted up to the limit; what waits becomes one, and is not counted.
WITH told AS (
  SELECT e.number, e.workspace_id, e.time, e.user_id, e.kind, u.time_zone, u.quiet_from, u.quiet_until, u.email_confirmed_at
  FROM unnest(:numbers::int[], :workspaces::uuid[], :times::timestamptz[], :users::uuid[], :kinds::text[])
    AS e (number, workspace_id, time, user_id, kind)
  JOIN users u ON u.id = e.user_id
)
SELECT e.number, e.user_id, a.kind AS channel, a.id AS endpoint_id, e.time_zone, e.quiet_from, e.quiet_until, 0 AS sent,
  clock_timestamp() AS now
FROM told e
JOIN alert_endpoints a ON a.user_id = e.user_id AND a.kind = ANY (:channels::text[]) AND a.created_at <= e.time
WHERE taskbell.wants_alert(e.user_id, e.workspace_id, e.kind,
  CASE WHEN a.kind IN ('fcm', 'apns', 'webpush') THEN 'push' ELSE a.kind END, true)
UNION ALL
SELECT e.number, e.user_id, 'email', e.user_id, e.time_zone, e.quiet_from, e.quiet_until, r.count, clock_timestamp()
FROM told e
JOIN email_channels c ON c.user_id = e.user_id AND c.enabled AND c.enabled_at <= e.time
CROSS JOIN LATERAL (
  SELECT count(*)::int FROM (
    SELECT FROM deliveries d
    WHERE d.endpoint_id = e.user_id AND d.id > :recent::uuid AND d.channel = 'email' AND NOT d.deferred LIMIT :most
  ) d
) r
WHERE 'email' = ANY (:channels) AND e.email_confirmed_at IS NOT NULL
  AND taskbell.wants_alert(e.user_id, e.workspace_id, e.kind, 'email', e.kind = ANY (c.kinds) OR '*' = ANY (c.kinds))
ORDER BY number
