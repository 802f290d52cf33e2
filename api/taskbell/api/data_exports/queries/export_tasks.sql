-- The key is the time of creation: the order of an index.
SELECT t.created_at::text AS key, t.id, json_build_object(
  'task', taskbell.task_document(t),
  'reminders', ARRAY(SELECT json_build_object('kind', r.kind, 'fire_at', r.fire_at)
                     FROM reminders r WHERE r.task_id = t.id ORDER BY r.fire_at)
)::text AS document
FROM tasks t
WHERE t.created_by = taskbell.actor()
  AND (t.created_at, t.id) > (:key::text::timestamptz, :past)
ORDER BY t.created_at, t.id LIMIT :at_most
