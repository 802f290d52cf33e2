-- A channel receives no event from before it was switched on, so that a replay floods nobody.
-- The document is stored once, with the event: a delivery has its own only if `events` does not hold this event.
INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, event_type, payload, traceparent, give_up_at)
SELECT e.id, 'email', c.user_id, e.workspace_id, e.type,
  CASE WHEN (SELECT true FROM events v WHERE v.id = e.id AND v.workspace_id = e.workspace_id) THEN NULL
    ELSE e.payload END,
  e.traceparent, now() + :retry_for::interval
FROM unnest(:ids::uuid[], :workspaces::uuid[], :types::text[], :times::timestamptz[], :payloads::text[],
  :traceparents::text[], :users::uuid[], :kinds::text[]) AS e (id, workspace_id, type, time, payload, traceparent, user_id, kind)
JOIN email_channels c ON c.user_id = e.user_id AND c.enabled AND c.enabled_at <= e.time
  AND (e.kind = ANY (c.kinds) OR '*' = ANY (c.kinds))
ON CONFLICT DO NOTHING
