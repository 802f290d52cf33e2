-- A page of the actor's inbox, newest first, and how many are unread, counted up to $4.
-- $1 actor, $2 limit, $3 id to go on after or NULL, $4 the most to count
WITH actor AS MATERIALIZED (
  SELECT set_config('taskbell.actor', $1, true)::uuid AS id
)
SELECT page.document, page.id, unread.counted
FROM actor
CROSS JOIN LATERAL (
  SELECT count(*) AS counted
  FROM (SELECT FROM notifications WHERE user_id = actor.id AND read_at IS NULL LIMIT $4) n
) unread
LEFT JOIN LATERAL (
  SELECT taskbell.notification_document(n)::text AS document, n.id
  FROM notifications n
  WHERE n.user_id = actor.id AND n.id < coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
  ORDER BY n.id DESC
  LIMIT $2
) page ON true
