-- The sort keys of a task that exists or was deleted.
WITH actor AS MATERIALIZED (
  SELECT set_config('taskbell.actor', :actor::uuid::text, true) AS id
)
SELECT t.position::text AS position, t.priority::text AS priority,
       coalesce(t.due_at, 'infinity'::timestamptz)::text AS due_at,
       t.created_at::text AS created_at, t.updated_at::text AS updated_at
FROM actor CROSS JOIN LATERAL (
  SELECT position, priority, due_at, created_at, updated_at FROM tasks WHERE id = :task_id AND actor.id IS NOT NULL
  UNION ALL
  SELECT position, priority, due_at, created_at, updated_at FROM deleted_tasks
  WHERE id = :task_id AND actor.id IS NOT NULL
  LIMIT 1
) t
