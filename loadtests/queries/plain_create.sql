WITH id AS MATERIALIZED (
  SELECT taskbell.new_id() AS id
), task AS (
  INSERT INTO tasks (id, workspace_id, created_by, title, priority) SELECT id, $1, $2, $3, $4 FROM id
)
INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, data, traceparent)
SELECT $1, 'task.created', id, $2, ARRAY[$2::uuid], $5::json, $6 FROM id
