-- Changes a task with its events and notifications. The event ids are made after the row is locked, so they order the
-- task's events; `event` is read so that its ids come before those of the notifications' events.
-- Former assignees hear that they are no longer assigned. A creator who has left the workspace hears nothing.
-- `former_values` holds a JSON text for each event type. `leads` is NULL when the reminders stay as they are. Only
-- `task.updated` tells of a new description; `omitted` names the old values that it leaves out.
WITH task AS (
  UPDATE tasks SET
    title = :title, description = :description, status = :status, priority = :priority, start_at = :start_at,
    due_at = :due_at, assignee_ids = :assignee_ids,
    version = version + 1, updated_at = clock_timestamp(),
    status_changed_at = CASE WHEN :changes_status::boolean THEN clock_timestamp() ELSE status_changed_at END,
    completed_at = CASE WHEN NOT :changes_status THEN completed_at WHEN :status = 'completed' THEN clock_timestamp() END
  WHERE id = :task_id AND workspace_id = :workspace_id
  RETURNING id, workspace_id, created_by, title, description, status, due_at, assignee_ids, version,
            taskbell.task_document(tasks)::text AS document
), event AS (
  INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
  SELECT t.workspace_id, fact.type, t.id, :actor,
         taskbell.task_audience(t.workspace_id, t.created_by, t.assignee_ids || :former_assignee_ids::uuid[], :actor),
         :traceparent,
         taskbell.task_event(
           t.document, CASE WHEN fact.type <> 'task.updated' OR NOT :changes_description::boolean THEN t.description END,
           fact.previous, CASE WHEN fact.type = 'task.updated' THEN :omitted::text[] ELSE '{}' END)
  FROM task t
  CROSS JOIN unnest(:event_types::text[], :former_values::text[]) WITH ORDINALITY AS fact (type, previous, ordinal)
  ORDER BY fact.ordinal
  RETURNING id
)
SELECT t.document, t.version,
       CASE WHEN cardinality(:newly_assigned::uuid[]) > 0 THEN
         taskbell.notify(:newly_assigned, 'assigned', t.workspace_id, t.id, :actor, t.title, 'Assigned to you',
                         :traceparent)
       END,
       CASE WHEN :changes_status THEN
         taskbell.notify(t.created_by || t.assignee_ids, 'status_changed', t.workspace_id, t.id, :actor, t.title,
                         format('Status changed from %s to %s', :former_status::text, t.status), :traceparent)
       END,
       CASE WHEN :leads::interval[] IS NOT NULL THEN
         taskbell.plan_reminders(t.id, t.workspace_id,
                                 CASE WHEN t.status IN ('pending', 'in_progress') THEN t.due_at END, :leads)
       END
FROM task t CROSS JOIN (SELECT array_agg(id) FROM event) written
