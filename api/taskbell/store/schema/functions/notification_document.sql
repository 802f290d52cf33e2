-- A notification as JSON, built once: the API's answer and the event's data are this text.
-- The type gives the fields their names and their order. While it changes, no statement builds a document.
LOCK TABLE notifications IN ACCESS EXCLUSIVE MODE;
DROP TYPE IF EXISTS taskbell.notification_wire;
CREATE TYPE taskbell.notification_wire AS (
  id uuid, kind text, workspace_id uuid, task_id uuid, actor_id uuid, title text, body text, urgent boolean,
  read_at text, created_at text
);
CREATE OR REPLACE FUNCTION taskbell.notification_document(n notifications) RETURNS json
  LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT to_json(ROW(
    n.id, n.kind, n.workspace_id, n.task_id, n.actor_id, n.title, n.body, n.urgent,
    taskbell.rfc3339(n.read_at), taskbell.rfc3339(n.created_at)
  )::taskbell.notification_wire)
$$;
