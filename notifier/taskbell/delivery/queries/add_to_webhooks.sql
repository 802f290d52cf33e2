-- A webhook receives no event from before it was switched on, so that a replay floods nobody.
-- The document is stored once, with the event: a delivery has its own only if `events` does not hold this event.
INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, event_type, payload, traceparent, give_up_at)
SELECT e.id, 'webhook', w.id, e.workspace_id, e.type,
  CASE WHEN (SELECT true FROM events v WHERE v.id = e.id AND v.workspace_id = e.workspace_id) THEN NULL
    ELSE e.payload END,
  e.traceparent, now() + :retry_for::interval
FROM unnest(:ids::uuid[], :workspaces::uuid[], :types::text[], :times::timestamptz[], :payloads::text[],
  :traceparents::text[]) AS e (id, workspace_id, type, time, payload, traceparent)
JOIN webhooks w ON w.workspace_id = e.workspace_id AND w.enabled AND w.enabled_at <= e.time
  AND (e.type = ANY (w.event_types) OR '*' = ANY (w.event_types))
ON CONFLICT DO NOTHING
