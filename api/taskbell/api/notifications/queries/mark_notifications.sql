-- Marks the actor's notifications, in the actor's transaction, with an event each for the user's other devices.
-- A notification of a workspace that the user has left gets no event: its events no longer reach them.
-- One of the two searches runs, each with its own index. `notification_ids` is NULL for all unread ones.
WITH former AS MATERIALIZED (
  SELECT n.id, n.read_at FROM (
    SELECT id, read_at FROM notifications
    WHERE :notification_ids::uuid[] IS NULL AND user_id = taskbell.actor() AND read_at IS NULL
    ORDER BY id LIMIT :limit
    FOR NO KEY UPDATE
  ) n
  UNION ALL
  SELECT n.id, n.read_at FROM (
    SELECT id, read_at FROM notifications
    WHERE id = ANY (:notification_ids) AND (read_at IS NULL) = :read
    ORDER BY id LIMIT :limit
    FOR NO KEY UPDATE
  ) n
), marked AS (
  UPDATE notifications n SET read_at = CASE WHEN :read THEN clock_timestamp() END
  WHERE n.id = ANY (ARRAY(SELECT id FROM former))  -- by key; a join may read the person's whole inbox
  RETURNING n.id, n.workspace_id, n.user_id, taskbell.notification_document(n)::text AS document
), event AS (
  INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
  SELECT m.workspace_id, CASE WHEN :read THEN 'notification.read' ELSE 'notification.unread' END, m.id, m.user_id,
         ARRAY[m.user_id], :traceparent,
         (left(m.document, -1) || ',"previous":{"read_at":'
          || coalesce('"' || taskbell.rfc3339(f.read_at) || '"', 'null') || '}}')::json
  FROM marked m JOIN former f ON f.id = m.id
  WHERE m.workspace_id IN (SELECT s.workspace_id FROM memberships s WHERE s.user_id = m.user_id)
)
SELECT document FROM marked
