WITH actor AS MATERIALIZED (
  SELECT set_config('taskbell.actor', $1::uuid::text, true)::uuid AS id
), task AS (
  INSERT INTO tasks (workspace_id, title, description, status, priority, start_at, due_at, assignee_ids, created_by,
                     created_at, updated_at, status_changed_at, completed_at)
  SELECT $2, $3, $4, $5, $6, $7, $8, $9, actor.id,
         now(), now(), now(), CASE WHEN $5 = 'completed' THEN now() END
  FROM actor
  WHERE cardinality($9::uuid[]) = 0
     OR cardinality(taskbell.audience(CASE WHEN actor.id IS NOT NULL THEN $2::uuid END, $9))
        = cardinality($9)
  RETURNING id, workspace_id, created_by, title, status, due_at, assignee_ids, taskbell.task_document(tasks) AS document
), event AS (
  INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
  SELECT workspace_id, 'task.created', id, created_by,
         taskbell.task_audience(workspace_id, created_by, assignee_ids, created_by), $10, document
  FROM task
  UNION ALL
  SELECT workspace_id, 'task.assigned', id, created_by,
         taskbell.task_audience(workspace_id, created_by, assignee_ids, created_by), $10,
         (left(document::text, -1) || ',"previous":{"assignee_ids":[]}}')::json
  FROM task WHERE cardinality(assignee_ids) > 0
  RETURNING id
)
SELECT t.document::text AS document, t.id,
       CASE WHEN cardinality(t.assignee_ids) > 0 THEN
         taskbell.notify(t.assignee_ids, 'assigned', t.workspace_id, t.id, t.created_by, t.title, 'Assigned to you',
                         $10)
       END,
       CASE WHEN t.due_at IS NOT NULL AND t.status IN ('pending', 'in_progress') THEN
         taskbell.plan_reminders(t.id, t.workspace_id, t.due_at, $11)
       END
FROM task t CROSS JOIN (SELECT array_agg(id) FROM event) written
