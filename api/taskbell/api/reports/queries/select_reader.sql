-- The actor's role in a workspace (NULL: none) and time zone, whether old tasks are still being counted, and the time.
-- LATERAL and LIMIT make the scans wait for the actor.
WITH actor AS MATERIALIZED (
  SELECT set_config('taskbell.actor', :actor::uuid::text, true)::uuid AS id
)
SELECT m.role, u.time_zone, s.seed_after IS NOT NULL AS is_counting, now() AS now
FROM actor
CROSS JOIN report_state s
LEFT JOIN LATERAL (SELECT time_zone FROM users WHERE id = actor.id LIMIT 1) u ON true
LEFT JOIN LATERAL (
  SELECT role FROM memberships WHERE user_id = actor.id AND workspace_id = :workspace_id LIMIT 1
) m ON true
