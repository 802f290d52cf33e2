-- Deletes a task, writes its event and keeps its sort keys, so that a list can continue after it. A foreign key deletes
-- its reminders. `version` is NULL when any version may be deleted. `xid` is the position of the change.
WITH task AS (
  DELETE FROM tasks
  WHERE id = :task_id AND (:version::bigint IS NULL OR version = :version)
  RETURNING id, workspace_id, created_by, assignee_ids, description, priority, position, due_at, created_at, updated_at,
            taskbell.task_document(tasks)::text AS document
), trace AS (
  INSERT INTO deleted_tasks (id, workspace_id, priority, position, due_at, created_at, updated_at)
  SELECT id, workspace_id, priority, position, due_at, created_at, updated_at FROM task
), event AS (
  INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
  SELECT workspace_id, 'task.deleted', id, :actor,
         taskbell.task_audience(workspace_id, created_by, assignee_ids, :actor), :traceparent,
         taskbell.task_event(document, description)
  FROM task
)
SELECT id, pg_current_xact_id()::text AS xid FROM task
