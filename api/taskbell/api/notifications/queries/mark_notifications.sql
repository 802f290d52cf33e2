-- Marks notifications of the actor, at most $4 of them, with an event each for the person's other devices. Those of a
-- workspace that the person has left are marked without one: its events reach them no more.
-- $1 actor, $2 read or not, $3 ids, or NULL for all up to $5, $4 at most, $5 the newest id, $6 traceparent
WITH actor AS MATERIALIZED (
  SELECT set_config('taskbell.actor', $1, true)::uuid AS id
), former AS (
  SELECT n.id, n.read_at FROM actor CROSS JOIN LATERAL (
    SELECT id, read_at FROM notifications
    WHERE user_id = actor.id AND (read_at IS NULL) = $2 AND ($3::uuid[] IS NULL OR id = ANY ($3)) AND id <= $5
    ORDER BY id LIMIT $4
    FOR NO KEY UPDATE
  ) n
), marked AS (
  UPDATE notifications n SET read_at = CASE WHEN $2 THEN clock_timestamp() END
  FROM former f WHERE n.id = f.id
  RETURNING n.id, n.workspace_id, n.user_id, f.read_at AS former, taskbell.notification_document(n)::text AS document
), event AS (
  INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
  SELECT m.workspace_id, CASE WHEN $2 THEN 'notification.read' ELSE 'notification.unread' END, m.id, m.user_id,
         ARRAY[m.user_id], $6,
         (left(m.document, -1) || ',"previous":{"read_at":'
          || coalesce('"' || taskbell.rfc3339(m.former) || '"', 'null') || '}}')::json
  FROM marked m
  WHERE m.workspace_id IN (SELECT s.workspace_id FROM memberships s WHERE s.user_id = m.user_id)
)
SELECT document FROM marked
