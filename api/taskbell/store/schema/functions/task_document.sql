-- A task as JSON, built once: the API's answer and the event's data are this text.
-- The type gives the fields their names and their order. While it changes, no statement builds a document.
LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE;
DROP TYPE IF EXISTS taskbell.task_wire;
CREATE TYPE taskbell.task_wire AS (
  id uuid, workspace_id uuid, title text, description text, status text, priority smallint, position bigint,
  assignee_ids uuid[], start_at text, due_at text, version bigint, created_by uuid, created_at text, updated_at text,
  status_changed_at text, completed_at text
);
CREATE OR REPLACE FUNCTION taskbell.task_document(t tasks) RETURNS json LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT to_json(ROW(
    t.id, t.workspace_id, t.title, t.description, t.status, t.priority, t.position, t.assignee_ids,
    taskbell.rfc3339(t.start_at), taskbell.rfc3339(t.due_at), t.version, t.created_by, taskbell.rfc3339(t.created_at),
    taskbell.rfc3339(t.updated_at), taskbell.rfc3339(t.status_changed_at), taskbell.rfc3339(t.completed_at)
  )::taskbell.task_wire)
$$;
