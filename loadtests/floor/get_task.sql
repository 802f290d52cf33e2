WITH actor AS MATERIALIZED (
  SELECT set_config('taskbell.actor', $1::uuid::text, true) AS id
)
SELECT task.document, task.version
FROM actor CROSS JOIN LATERAL (
  SELECT taskbell.task_document(t)::text AS document, t.version
  FROM tasks t
  WHERE t.id = $2 AND actor.id IS NOT NULL
  LIMIT 1
) task
