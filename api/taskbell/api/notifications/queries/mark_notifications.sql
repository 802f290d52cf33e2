-- Marks notifications of the actor, in a transaction of theirs, with an event each for the person's other devices. Those
-- of a workspace that the person has left are marked without one: its events reach them no more.
-- Two ways to find them, of which one runs: each has an index of its own.
-- $1 read or not, $2 ids, or NULL for all that are unread, $3 at most, $4 traceparent
WITH former AS MATERIALIZED (
  SELECT n.id, n.read_at FROM (
    SELECT id, read_at FROM notifications
    WHERE $2::uuid[] IS NULL AND user_id = taskbell.actor() AND read_at IS NULL
    ORDER BY id LIMIT $3
    FOR NO KEY UPDATE
  ) n
  UNION ALL
  SELECT n.id, n.read_at FROM (
    SELECT id, read_at FROM notifications
    WHERE id = ANY ($2) AND (read_at IS NULL) = $1
    ORDER BY id LIMIT $3
    FOR NO KEY UPDATE
  ) n
), marked AS (
  UPDATE notifications n SET read_at = CASE WHEN $1 THEN clock_timestamp() END
  WHERE n.id = ANY (ARRAY(SELECT id FROM former))  -- by key; a join may read the person's whole inbox
  RETURNING n.id, n.workspace_id, n.user_id, taskbell.notification_document(n)::text AS document
), event AS (
  INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
  SELECT m.workspace_id, CASE WHEN $1 THEN 'notification.read' ELSE 'notification.unread' END, m.id, m.user_id,
         ARRAY[m.user_id], $4,
         (left(m.document, -1) || ',"previous":{"read_at":'
          || coalesce('"' || taskbell.rfc3339(f.read_at) || '"', 'null') || '}}')::json
  FROM marked m JOIN former f ON f.id = m.id
  WHERE m.workspace_id IN (SELECT s.workspace_id FROM memberships s WHERE s.user_id = m.user_id)
)
SELECT document FROM marked
