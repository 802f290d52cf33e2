WITH task AS (
  UPDATE tasks SET title = $3, version = version + 1, updated_at = clock_timestamp() WHERE id = $1
)
INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, data, traceparent)
VALUES ($6, 'task.updated', $1, $2, ARRAY[$2::uuid], $4::json, $5)
