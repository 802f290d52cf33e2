-- A queue is what waits for one receiver: the order and the expression are those of the index deliveries_queue_idx.
-- What waited for the end of quiet hours becomes one alert for each endpoint. Only the oldest of it may be taken, and
-- that one takes all others along: so two workers never divide them.
WITH due AS (
  SELECT d.event_id, d.channel, d.endpoint_id, d.notification_id, d.event_type, d.collapsed, d.leads
  FROM unnest(:channels::text[], :queues::uuid[], :places::int[]) AS q (channel, id, places)
  CROSS JOIN LATERAL (
    SELECT c.event_id, c.channel, c.endpoint_id, c.notification_id, c.event_type, c.collapsed,
      c.deferred AND c.state = 'pending' AND c.attempts = 0 AS leads
    FROM deliveries c
    WHERE c.state IN ('pending', 'retrying') AND c.due_at <= now() AND c.channel = q.channel
      AND CASE WHEN c.channel IN ('webhook', 'webpush', 'slack', 'teams') THEN c.endpoint_id ELSE c.workspace_id END = q.id
      AND (NOT c.deferred OR c.state <> 'pending' OR c.attempts > 0 OR NOT EXISTS (
        SELECT FROM deliveries o
        WHERE o.state = 'pending' AND o.deferred AND o.attempts = 0 AND o.endpoint_id = c.endpoint_id
          AND o.channel = c.channel AND o.due_at <= now() AND o.event_id < c.event_id
      ))
    ORDER BY c.due_at LIMIT q.places FOR UPDATE SKIP LOCKED
  ) d
), members AS (
  SELECT due.event_id AS leader, due.event_id, due.channel, due.endpoint_id, due.notification_id, due.event_type, due.collapsed
  FROM due
  UNION ALL
  SELECT due.event_id, o.event_id, o.channel, o.endpoint_id, o.notification_id, o.event_type, o.collapsed
  FROM due
  CROSS JOIN LATERAL (
    SELECT w.event_id, w.channel, w.endpoint_id, w.notification_id, w.event_type, w.collapsed FROM deliveries w
    WHERE due.leads AND w.state = 'pending' AND w.deferred AND w.attempts = 0 AND w.endpoint_id = due.endpoint_id
      AND w.channel = due.channel AND w.due_at <= now() AND w.event_id > due.event_id
    ORDER BY w.event_id LIMIT 1000 FOR UPDATE SKIP LOCKED
  ) o
), judged AS (
  -- Who has read the notification needs no alert, unless it speaks for others.
  SELECT m.leader, m.event_id, m.channel, m.endpoint_id, m.collapsed,
    m.collapsed > 0 OR m.event_type = 'notification.read'
      OR (SELECT n.read_at FROM notifications n WHERE n.id = m.notification_id) IS NULL AS speaks
  FROM members m
), ranked AS (
  SELECT j.event_id, j.channel, j.endpoint_id, j.speaks,
    j.speaks AND row_number() OVER (PARTITION BY j.leader, j.channel, j.endpoint_id ORDER BY j.speaks DESC, j.event_id) = 1
      AS is_taken,
    sum(CASE WHEN j.speaks THEN 1 + j.collapsed ELSE 0 END) OVER (PARTITION BY j.leader, j.channel, j.endpoint_id) AS all_told
  FROM judged j
), taken AS (
  UPDATE deliveries d SET
    state = CASE WHEN r.is_taken THEN d.state WHEN r.speaks THEN 'collapsed' ELSE 'withdrawn' END,
    due_at = CASE WHEN r.is_taken THEN now() + :lease::interval ELSE d.due_at END,
    attempts = d.attempts + r.is_taken::int,
    attempted_at = CASE WHEN r.is_taken THEN now() ELSE d.attempted_at END,
    collapsed = CASE WHEN r.is_taken THEN r.all_told - 1 ELSE d.collapsed END
  FROM ranked r WHERE d.event_id = r.event_id AND d.channel = r.channel AND d.endpoint_id = r.endpoint_id
  RETURNING d.*, r.is_taken
)
SELECT t.id, t.event_id, t.channel, t.endpoint_id, t.workspace_id, t.event_type, t.payload, t.traceparent, t.attempts,
  t.is_taken, t.state, t.deferred, t.collapsed,
  extract(epoch FROM t.give_up_at - now())::float8 AS remaining,
  extract(epoch FROM now() - t.created_at)::float8 AS age,
  w.url, w.enabled, w.secret, CASE WHEN w.previous_secret_expires_at > now() THEN w.previous_secret END AS previous,
  CASE WHEN t.event_type IN ('email.confirmation', 'email.password_reset', 'email.change', 'email.changed')
    OR c.enabled AND u.email_confirmed_at IS NOT NULL THEN u.email
    WHEN t.event_type = 'email.invitation' THEN (
      SELECT i.email FROM invitation_letters l JOIN invitations i ON i.id = l.invitation_id
      WHERE l.id = t.endpoint_id AND i.withdrawn_at IS NULL AND i.expires_at > now()
    ) END AS email,
  c.unsubscribe_token, u.time_zone, u.quiet_from, u.quiet_until, clock_timestamp() AS now,
  a.id AS alert_endpoint_id, a.address, a.p256dh, a.auth, a.environment, extract(epoch FROM a.registered_at)::float8 AS registered_at,
  v.subject_id, v.actor_id, v.traceparent AS event_traceparent, v.created_at AS event_time, v.data::text AS data
FROM taken t
LEFT JOIN events v ON t.is_taken AND t.payload IS NULL AND v.id = t.event_id AND v.workspace_id = t.workspace_id
LEFT JOIN webhooks w ON t.channel = 'webhook' AND w.id = t.endpoint_id
LEFT JOIN alert_endpoints a ON a.id = t.endpoint_id AND a.kind = t.channel
LEFT JOIN email_channels c ON t.channel = 'email' AND c.user_id = t.endpoint_id
LEFT JOIN users u ON u.id = CASE WHEN t.channel = 'email' THEN t.endpoint_id ELSE a.user_id END
