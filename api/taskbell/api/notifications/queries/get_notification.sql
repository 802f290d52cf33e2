-- LATERAL and LIMIT make the scan wait for the actor.
WITH actor AS MATERIALIZED (
  SELECT set_config('taskbell.actor', :actor::uuid::text, true)::uuid AS id
)
SELECT found.document
FROM actor CROSS JOIN LATERAL (
  SELECT taskbell.notification_document(n)::text AS document
  FROM notifications n WHERE n.id = :notification_id AND n.user_id = actor.id
  LIMIT 1
) found
