WITH anchor AS (
  SELECT position FROM tasks WHERE id = $3
), place AS (
  SELECT (a.position + (SELECT n.position FROM tasks n WHERE n.workspace_id = $4 AND n.position > a.position
                        ORDER BY n.position LIMIT 1)) / 2 AS position
  FROM anchor a
), task AS (
  UPDATE tasks SET position = coalesce((SELECT position FROM place), nextval('task_position')), version = version + 1,
    updated_at = clock_timestamp()
  WHERE id = $1 RETURNING *
)
INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, data)
SELECT workspace_id, 'task.moved', id, $2, ARRAY[created_by], to_json(task) FROM task
RETURNING data::text
