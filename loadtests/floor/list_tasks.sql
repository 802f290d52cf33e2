WITH actor AS MATERIALIZED (
  SELECT set_config('taskbell.actor', $1, true) AS id
)
SELECT page.document, page.key, page.id
FROM actor CROSS JOIN LATERAL (
  SELECT taskbell.task_document(t)::text AS document, (t.position)::text AS key, t.id
  FROM tasks t
  WHERE actor.id IS NOT NULL AND t.workspace_id = $3
  ORDER BY t.position ASC, t.id ASC
  LIMIT $2
) page
