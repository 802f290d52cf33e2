-- The change, its events and notifications. The event ids are made after the row's lock was taken, so they order the
-- task's events; `event` is read so that its ids come before those of the notifications' events.
-- Who was assigned hears that they are no more; who created the task may have left since, and hears nothing.
-- $1 task, $2 workspace, $3 title, $4 description, $5 status, $6 priority, $7 start_at, $8 due_at, $9 assignees,
-- $10 status changes, $11 actor, $12 traceparent, $13 event types, $14 their old values (JSON texts),
-- $15 former assignees, $16 newly assigned, $17 former status, $18 reminder leads, or NULL: the reminders stay
WITH task AS (
  UPDATE tasks SET
    title = $3, description = $4, status = $5, priority = $6, start_at = $7, due_at = $8, assignee_ids = $9,
    version = version + 1, updated_at = clock_timestamp(),
    status_changed_at = CASE WHEN $10::boolean THEN clock_timestamp() ELSE status_changed_at END,
    completed_at = CASE WHEN NOT $10::boolean THEN completed_at WHEN $5 = 'completed' THEN clock_timestamp() END
  WHERE id = $1 AND workspace_id = $2
  RETURNING id, workspace_id, created_by, title, status, due_at, assignee_ids, version,
            taskbell.task_document(tasks)::text AS document
), event AS (
  INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
  SELECT t.workspace_id, fact.type, t.id, $11,
         taskbell.task_audience(t.workspace_id, t.created_by, t.assignee_ids || $15::uuid[], $11), $12,
         (left(t.document, -1) || ',"previous":' || fact.previous || '}')::json
  FROM task t CROSS JOIN unnest($13::text[], $14::text[]) WITH ORDINALITY AS fact (type, previous, ordinal)
  ORDER BY fact.ordinal
  RETURNING id
)
SELECT t.document, t.version,
       CASE WHEN cardinality($16::uuid[]) > 0 THEN
         taskbell.notify($16, 'assigned', t.workspace_id, t.id, $11, t.title, 'Assigned to you', $12)
       END,
       CASE WHEN $10 AND (t.created_by <> $11 OR cardinality(t.assignee_ids) > 0) THEN
         taskbell.notify(t.created_by || t.assignee_ids, 'status_changed', t.workspace_id, t.id, $11, t.title,
                         format('Status changed from %s to %s', $17::text, t.status), $12)
       END,
       CASE WHEN $18::interval[] IS NOT NULL THEN
         taskbell.plan_reminders(t.id, t.workspace_id,
                                 CASE WHEN t.status IN ('pending', 'in_progress') THEN t.due_at END, $18)
       END
FROM task t CROSS JOIN (SELECT array_agg(id) FROM event) written
