-- $1 user, $2 workspace, $3 addresses of devices, $4 number of deliveries. They are due when they are let go.
WITH device AS (
  INSERT INTO alert_endpoints (id, user_id, kind, address, address_hash)
  SELECT taskbell.new_id(), $1, 'fcm', address, sha256(convert_to(address, 'UTF8')) FROM unnest($3::text[]) AS address
  RETURNING id
), numbered AS (
  SELECT id, row_number() OVER () - 1 AS number FROM device
), notice AS (
  INSERT INTO notifications (user_id, kind, workspace_id, title, body)
  SELECT $1, 'assigned', $2, 'Ann assigned you: Water the plants ' || g, 'Due tomorrow' FROM generate_series(1, $4::int) g
  RETURNING id, created_at
), told AS (
  SELECT id, created_at, row_number() OVER () AS number FROM notice
)
INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, notification_id, event_type, payload, due_at, give_up_at)
SELECT taskbell.new_id(), 'fcm', d.id, $2, n.id, 'notification.created',
  json_build_object('type', 'notification.created', 'data', json_build_object('id', n.id, 'kind', 'assigned',
    'title', 'Ann assigned you: Water the plants ' || n.number, 'body', 'Due tomorrow', 'workspace_id', $2, 'task_id', NULL,
    'urgent', false, 'created_at', n.created_at))::text,
  'infinity', now() + interval '1 day'
FROM told n JOIN numbered d ON d.number = n.number % cardinality($3)
