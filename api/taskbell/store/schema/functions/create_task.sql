-- Writes a new task with its events, notifications and reminders. `document` is NULL: an assignee is not a member.
--
-- It runs as its caller, so row-level security holds in it. Every value is known before the row is written: nothing is
-- read back (RETURNING), which would ask the policies of reading as well, and the document is built once. One statement
-- writes both rows, because each statement of a function costs a start of its own. Ids of notifications' events come
-- after those of the task's.
CREATE OR REPLACE FUNCTION taskbell.create_task(
  actor uuid, workspace_id uuid, title text, description text, status text, priority smallint, start_at timestamptz,
  due_at timestamptz, assignee_ids uuid[], leads interval[], traceparent text, OUT document text, OUT id uuid
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  task public.tasks;
  data json;
  audience uuid[];
BEGIN
  document := set_config('taskbell.actor', actor::text, true);
  IF assignee_ids <> '{}'
     AND cardinality(taskbell.audience(workspace_id, assignee_ids)) < cardinality(assignee_ids) THEN
    document := NULL;
    RETURN;
  END IF;

  task.id := taskbell.new_id();
  task.workspace_id := workspace_id;
  task.title := title;
  task.description := description;
  task.status := status;
  task.priority := priority;
  task.position := nextval('public.task_position');
  task.start_at := start_at;
  task.due_at := due_at;
  task.assignee_ids := assignee_ids;
  task.version := 1;
  task.created_by := actor;
  task.created_at := now();
  task.updated_at := now();
  task.status_changed_at := now();
  task.completed_at := CASE WHEN status = 'completed' THEN now() END;
  data := taskbell.task_document(task);
  document := data;
  id := task.id;
  audience := taskbell.task_audience(workspace_id, actor, assignee_ids, actor);

  WITH written AS (
    INSERT INTO public.tasks (
      id, workspace_id, title, description, status, priority, position, start_at, due_at, assignee_ids, version,
      created_by, created_at, updated_at, status_changed_at, completed_at
    ) VALUES (
      task.id, task.workspace_id, task.title, task.description, task.status, task.priority, task.position,
      task.start_at, task.due_at, task.assignee_ids, task.version, task.created_by, task.created_at, task.updated_at,
      task.status_changed_at, task.completed_at
    )
  )
  INSERT INTO public.events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
  VALUES (workspace_id, 'task.created', task.id, actor, audience, traceparent, data);
  IF assignee_ids <> '{}' THEN
    INSERT INTO public.events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
    VALUES (workspace_id, 'task.assigned', task.id, actor, audience, traceparent,
            taskbell.task_event(document, description, '{"assignee_ids":[]}'));
    PERFORM taskbell.notify(
      assignee_ids, 'assigned', workspace_id, task.id, actor, title, 'Assigned to you', traceparent);
  END IF;
  IF due_at IS NOT NULL AND status IN ('pending', 'in_progress') THEN
    PERFORM taskbell.plan_reminders(task.id, workspace_id, due_at, leads);
  END IF;
END
$$;
COMMENT ON FUNCTION taskbell.create_task IS
  'Creates a task in the name of an actor, and returns its document and id; no document: an assignee is not a member.';
REVOKE EXECUTE ON FUNCTION taskbell.create_task FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.create_task TO taskbell_api;
