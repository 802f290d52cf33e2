-- Inserts a task with its events, notifications and reminders. The row's CTE depends on `actor`, so the actor is set
-- before the policies and `audience` ask for it. `event` is read so that its ids come before those of the
-- notifications' events. `xid` is the position of the change. No row: an assignee is not a member.
WITH actor AS MATERIALIZED (
  SELECT set_config('taskbell.actor', :actor::uuid::text, true)::uuid AS id
), task AS (
  INSERT INTO tasks (workspace_id, title, description, status, priority, start_at, due_at, assignee_ids, created_by,
                     created_at, updated_at, status_changed_at, completed_at)
  SELECT :workspace_id, :title, :description, :status, :priority, :start_at, :due_at, :assignee_ids, actor.id,
         now(), now(), now(), CASE WHEN :status = 'completed' THEN now() END
  FROM actor
  WHERE cardinality(:assignee_ids::uuid[]) = 0
     OR cardinality(taskbell.audience(CASE WHEN actor.id IS NOT NULL THEN :workspace_id::uuid END, :assignee_ids))
        = cardinality(:assignee_ids)
  RETURNING id, workspace_id, created_by, title, description, status, due_at, assignee_ids,
            taskbell.task_document(tasks) AS document
), event AS (
  INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
  SELECT workspace_id, 'task.created', id, created_by,
         taskbell.task_audience(workspace_id, created_by, assignee_ids, created_by), :traceparent, document
  FROM task
  UNION ALL
  SELECT workspace_id, 'task.assigned', id, created_by,
         taskbell.task_audience(workspace_id, created_by, assignee_ids, created_by), :traceparent,
         taskbell.task_event(document::text, description, '{"assignee_ids":[]}')
  FROM task WHERE cardinality(assignee_ids) > 0
  RETURNING id
)
SELECT t.document::text AS document, t.id, pg_current_xact_id()::text AS xid,
       CASE WHEN cardinality(t.assignee_ids) > 0 THEN
         taskbell.notify(t.assignee_ids, 'assigned', t.workspace_id, t.id, t.created_by, t.title, 'Assigned to you',
                         :traceparent)
       END,
       CASE WHEN t.due_at IS NOT NULL AND t.status IN ('pending', 'in_progress') THEN
         taskbell.plan_reminders(t.id, t.workspace_id, t.due_at, :leads)
       END
FROM task t CROSS JOIN (SELECT array_agg(id) FROM event) written
