-- Notices in the inboxes of others name who invited them, or who left; so do their events. An event is written with its
-- notice, and has an id of that time (UUIDv7), by which it is found. Nothing else changes an event.
WITH nameless AS (
  UPDATE notifications SET body = CASE kind
    WHEN 'invited' THEN 'A deleted user invited you'
    ELSE 'Webhooks were switched off, because a deleted user no longer administers them'
  END
  WHERE actor_id = ANY (:people::uuid[]) AND kind IN ('invited', 'webhooks_paused')
  RETURNING id, body, created_at
)
UPDATE events e SET data = (e.data::jsonb || jsonb_build_object('body', n.body))::json
FROM nameless n
WHERE e.type = 'notification.created' AND e.subject_id = n.id
  AND e.id BETWEEN (lpad(to_hex(floor(extract(epoch FROM n.created_at) * 1000)::bigint - 1000), 12, '0') || repeat('0', 20))::uuid
               AND (lpad(to_hex(floor(extract(epoch FROM n.created_at) * 1000)::bigint + 1000), 12, '0') || repeat('f', 20))::uuid
