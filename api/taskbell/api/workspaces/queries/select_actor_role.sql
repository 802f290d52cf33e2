-- The actor's role in a workspace; no row for a stranger. LATERAL and LIMIT make the scan wait for the actor.
WITH actor AS MATERIALIZED (
  SELECT set_config('taskbell.actor', :actor::uuid::text, true)::uuid AS id
)
SELECT m.role
FROM actor CROSS JOIN LATERAL (
  SELECT role FROM memberships WHERE user_id = actor.id AND workspace_id = :workspace_id LIMIT 1
) m
