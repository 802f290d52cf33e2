-- How the actor follows a task. No row: the actor sees no such task. LATERAL and LIMIT make the scan wait for the actor.
WITH actor AS MATERIALIZED (
  SELECT set_config('taskbell.actor', :actor::uuid::text, true)::uuid AS id
)
SELECT task.id AS task_id, task.state, task.created_at
FROM actor CROSS JOIN LATERAL (
  SELECT t.id, s.state, s.created_at
  FROM tasks t LEFT JOIN task_subscriptions s ON s.task_id = t.id AND s.user_id = actor.id
  WHERE t.id = :task_id AND actor.id IS NOT NULL
  LIMIT 1
) task
