WITH task AS (
  INSERT INTO tasks (workspace_id, created_by, title, priority) VALUES ($1, $2, $3, $4) RETURNING *
)
INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, data)
SELECT workspace_id, 'task.created', id, created_by, ARRAY[created_by], to_json(task) FROM task
RETURNING data::text
