-- The task and its event, one round trip. The row's CTE depends on `actor`, so the actor is set before the policies ask.
-- $1 actor, $2 workspace, $3 title, $4 description, $5 status, $6 priority, $7 start_at, $8 due_at, $9 traceparent
WITH actor AS MATERIALIZED (
  SELECT set_config('taskbell.actor', $1, true)::uuid AS id
), task AS (
  INSERT INTO tasks (workspace_id, title, description, status, priority, start_at, due_at, created_by,
                     created_at, updated_at, status_changed_at, completed_at)
  SELECT $2, $3, $4, $5, $6, $7, $8, actor.id, now(), now(), now(), CASE WHEN $5 = 'completed' THEN now() END
  FROM actor
  RETURNING id, workspace_id, created_by, taskbell.task_document(tasks) AS document
), event AS (
  INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
  SELECT workspace_id, 'task.created', id, created_by, ARRAY[created_by], $9, document FROM task
)
SELECT document::text FROM task
