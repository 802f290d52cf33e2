-- LATERAL and LIMIT make the scan wait for the actor.
WITH actor AS MATERIALIZED (
  SELECT set_config('taskbell.actor', :actor::uuid::text, true) AS id
)
SELECT task.document, task.version
FROM actor CROSS JOIN LATERAL (
  SELECT taskbell.task_document(t)::text AS document, t.version
  FROM tasks t
  WHERE t.id = :task_id AND actor.id IS NOT NULL
  LIMIT 1
) task
