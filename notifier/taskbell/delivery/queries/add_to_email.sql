-- A channel receives no event from before it was switched on, so that a replay floods nobody; an address that is not
-- confirmed receives none at all, and a user at most so many messages within the period.
-- The document is stored once, with the event: a delivery has its own only if `events` does not hold this event.
WITH wanted AS (
  SELECT e.*, row_number() OVER (PARTITION BY e.user_id ORDER BY e.id) AS number
  FROM unnest(:ids::uuid[], :workspaces::uuid[], :types::text[], :times::timestamptz[], :payloads::text[],
    :traceparents::text[], :users::uuid[], :kinds::text[]) AS e (id, workspace_id, type, time, payload, traceparent, user_id, kind)
  JOIN email_channels c ON c.user_id = e.user_id AND c.enabled AND c.enabled_at <= e.time
    AND (e.kind = ANY (c.kinds) OR '*' = ANY (c.kinds))
  JOIN users u ON u.id = e.user_id AND u.email_confirmed_at IS NOT NULL
), counted AS (
  SELECT w.*, w.number + r.count <= :most AS is_allowed
  FROM wanted w
  JOIN LATERAL (
    SELECT count(*) FROM (
      SELECT FROM deliveries d WHERE d.endpoint_id = w.user_id AND d.id > :recent::uuid AND d.channel = 'email' LIMIT :most
    ) d
  ) r ON true
), added AS (
  INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, event_type, payload, traceparent, give_up_at)
  SELECT e.id, 'email', e.user_id, e.workspace_id, e.type,
    CASE WHEN (SELECT true FROM events v WHERE v.id = e.id AND v.workspace_id = e.workspace_id) THEN NULL
      ELSE e.payload END,
    e.traceparent, now() + :retry_for::interval
  FROM counted e WHERE e.is_allowed
  ON CONFLICT DO NOTHING
  RETURNING id
)
SELECT (SELECT count(*) FROM added) AS added, (SELECT count(*) FROM counted WHERE NOT is_allowed) AS refused
