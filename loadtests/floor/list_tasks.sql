WITH actor AS MATERIALIZED
(SELECT CAST(set_config('taskbell.actor', CAST($1::UUID AS TEXT), true) AS UUID) AS id)
 SELECT page.document, page.key, page.id
FROM actor JOIN LATERAL (SELECT CAST(taskbell.task_document(t) AS TEXT) AS document, CAST(t.position AS TEXT) AS key, t.id AS id
FROM tasks AS t
WHERE actor.id IS NOT NULL AND t.workspace_id = $2::UUID ORDER BY t.position, t.id
 LIMIT $3::INTEGER) AS page ON true
