-- $1 actor, $2 notification. LATERAL and LIMIT make the scan wait for the actor.
WITH actor AS MATERIALIZED (
  SELECT set_config('taskbell.actor', $1, true)::uuid AS id
)
SELECT found.document
FROM actor CROSS JOIN LATERAL (
  SELECT taskbell.notification_document(n)::text AS document
  FROM notifications n WHERE n.id = $2 AND n.user_id = actor.id
  LIMIT 1
) found
