-- The change and its events. The event ids are made after the row's lock was taken, so they order the task's events.
-- Who created the task may have left the workspace since, and then hears of it no more.
-- $1 task, $2 workspace, $3 title, $4 description, $5 status, $6 priority, $7 start_at, $8 due_at, $9 status changes,
-- $10 actor, $11 traceparent, $12 event types, $13 their old values (JSON texts)
WITH task AS (
  UPDATE tasks SET
    title = $3, description = $4, status = $5, priority = $6, start_at = $7, due_at = $8,
    version = version + 1, updated_at = clock_timestamp(),
    status_changed_at = CASE WHEN $9::boolean THEN clock_timestamp() ELSE status_changed_at END,
    completed_at = CASE WHEN NOT $9::boolean THEN completed_at WHEN $5 = 'completed' THEN clock_timestamp() END
  WHERE id = $1 AND workspace_id = $2
  RETURNING id, workspace_id, created_by, version, taskbell.task_document(tasks)::text AS document
), event AS (
  INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
  SELECT t.workspace_id, fact.type, t.id, $10,
         CASE WHEN t.created_by = $10 THEN ARRAY[t.created_by]
              ELSE taskbell.audience(t.workspace_id, ARRAY[t.created_by]) END, $11,
         (left(t.document, -1) || ',"previous":' || fact.previous || '}')::json
  FROM task t CROSS JOIN unnest($12::text[], $13::text[]) WITH ORDINALITY AS fact (type, previous, ordinal)
  ORDER BY fact.ordinal
)
SELECT document, version FROM task
