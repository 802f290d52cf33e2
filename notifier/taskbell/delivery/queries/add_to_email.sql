-- A channel receives no event from before it was switched on, so that a replay floods nobody.
INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, event_type, payload, traceparent, give_up_at)
SELECT e.id, 'email', c.user_id, e.workspace_id, e.type, e.payload, e.traceparent, now() + :retry_for::interval
FROM unnest(:ids::uuid[], :workspaces::uuid[], :types::text[], :times::timestamptz[], :payloads::text[],
  :traceparents::text[], :users::uuid[], :kinds::text[]) AS e (id, workspace_id, type, time, payload, traceparent, user_id, kind)
JOIN email_channels c ON c.user_id = e.user_id AND c.enabled AND c.enabled_at <= e.time
  AND (e.kind = ANY (c.kinds) OR '*' = ANY (c.kinds))
ON CONFLICT DO NOTHING
