-- LATERAL makes the scan wait for the actor. A page has an item at least, and ends before it has read much more than
-- :most_bytes of texts: a document that is NULL was not read. One row without an id: the task has no comments after
-- :past. No row: the actor sees no such task.
WITH actor AS MATERIALIZED (
  SELECT set_config('taskbell.actor', :actor::uuid::text, true) AS id
), task AS MATERIALIZED (
  SELECT found.id FROM actor CROSS JOIN LATERAL (
    SELECT t.id FROM tasks t WHERE t.id = :task_id AND actor.id IS NOT NULL LIMIT 1
  ) found
)
SELECT page.document, page.id
FROM task LEFT JOIN LATERAL (
  SELECT CASE WHEN coalesce(sum(octet_length(c.body)) OVER before, 0) <= :most_bytes::bigint
              THEN taskbell.comment_document(c)::text END AS document,
         c.id
  FROM comments c
  WHERE c.task_id = task.id AND (:past::uuid IS NULL OR c.id > :past)
  WINDOW before AS (ORDER BY c.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
  ORDER BY c.id LIMIT :at_most
) page ON true
