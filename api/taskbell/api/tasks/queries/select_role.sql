-- $1 actor, $2 workspace: why was a change refused?
WITH actor AS MATERIALIZED (
  SELECT set_config('taskbell.actor', $1, true)::uuid AS id
)
SELECT m.role
FROM actor CROSS JOIN LATERAL (
  SELECT role FROM memberships WHERE user_id = actor.id AND workspace_id = $2 LIMIT 1
) m
