-- The document is stored once, with the event: a delivery has its own only if `events` does not hold this event.
-- `dues` are the ends of quiet hours, NULL for what is due at once.
INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, notification_id, event_type, payload, traceparent,
  deferred, due_at, give_up_at)
SELECT e.id, t.channel, t.endpoint_id, e.workspace_id, e.notification_id, e.type,
  CASE WHEN (SELECT true FROM events v WHERE v.id = e.id AND v.workspace_id = e.workspace_id) THEN NULL
    ELSE e.payload END,
  e.traceparent, t.due_at IS NOT NULL, coalesce(t.due_at, now()), coalesce(t.due_at, now()) + :retry_for::interval
FROM unnest(:numbers::int[], :channels::text[], :endpoints::uuid[], :dues::timestamptz[])
  AS t (number, channel, endpoint_id, due_at)
JOIN unnest(:ids::uuid[], :workspaces::uuid[], :types::text[], :times::timestamptz[], :payloads::text[],
  :traceparents::text[], :notifications::uuid[])
  WITH ORDINALITY AS e (id, workspace_id, type, time, payload, traceparent, notification_id, number) ON e.number = t.number
ON CONFLICT DO NOTHING
