-- A comment as JSON, built once: the API's answer and the event's data are this text.
-- The type gives the fields their names and their order. While it changes, no statement builds a document.
LOCK TABLE comments IN ACCESS EXCLUSIVE MODE;
DROP TYPE IF EXISTS taskbell.comment_wire;
CREATE TYPE taskbell.comment_wire AS (
  id uuid, workspace_id uuid, task_id uuid, author_id uuid, body text, mention_ids uuid[], created_at text
);
CREATE OR REPLACE FUNCTION taskbell.comment_document(c comments) RETURNS json LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT to_json(ROW(
    c.id, c.workspace_id, c.task_id, c.author_id, c.body, c.mention_ids, taskbell.rfc3339(c.created_at)
  )::taskbell.comment_wire)
$$;
