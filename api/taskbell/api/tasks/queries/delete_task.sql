-- The deletion, its event, and the sort keys that let lists go on after the task. Its reminders go with it (foreign key).
-- $1 task, $2 wanted version or NULL, $3 actor, $4 traceparent
WITH task AS (
  DELETE FROM tasks
  WHERE id = $1 AND ($2::bigint IS NULL OR version = $2)
  RETURNING id, workspace_id, created_by, assignee_ids, priority, position, due_at, created_at, updated_at,
            taskbell.task_document(tasks) AS document
), trace AS (
  INSERT INTO deleted_tasks (id, workspace_id, priority, position, due_at, created_at, updated_at)
  SELECT id, workspace_id, priority, position, due_at, created_at, updated_at FROM task
), event AS (
  INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
  SELECT workspace_id, 'task.deleted', id, $3,
         taskbell.task_audience(workspace_id, created_by, assignee_ids, $3), $4, document
  FROM task
)
SELECT id FROM task
