WITH task AS (
  UPDATE tasks SET title = $3, version = version + 1, updated_at = clock_timestamp() WHERE id = $1 RETURNING *
)
INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, data)
SELECT workspace_id, 'task.updated', id, $2, ARRAY[created_by], to_json(task) FROM task
RETURNING data::text
