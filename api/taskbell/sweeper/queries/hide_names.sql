-- Notices that name somebody who is deleted, and their events. An event is written with its notice, and has an id of that
-- time (UUIDv7), by which it is found. LIMIT: each is looked up by that, whatever the planner knows; reading all events
-- would take minutes. Nothing else changes an event.
WITH nameless AS (
  UPDATE notifications SET body = CASE kind
    WHEN 'invited' THEN 'A deleted user invited you'
    ELSE 'Webhooks were switched off, because a deleted user no longer administers them'
  END
  WHERE id = ANY (:notices::uuid[])
  RETURNING id, body, created_at
), told AS MATERIALIZED (
  SELECT v.id, n.body
  FROM nameless n
  CROSS JOIN LATERAL (
    SELECT e.id FROM events e
    WHERE e.type = 'notification.created' AND e.subject_id = n.id
      AND e.id BETWEEN (lpad(to_hex(floor(extract(epoch FROM n.created_at) * 1000)::bigint - 1000), 12, '0') || repeat('0', 20))::uuid
                   AND (lpad(to_hex(floor(extract(epoch FROM n.created_at) * 1000)::bigint + 1000), 12, '0') || repeat('f', 20))::uuid
    LIMIT 1
  ) v
)
UPDATE events e SET data = (e.data::jsonb || jsonb_build_object('body', t.body))::json
FROM told t WHERE e.id = t.id
