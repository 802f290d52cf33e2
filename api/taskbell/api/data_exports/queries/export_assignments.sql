-- The key is the time of the task's creation: the order of an index.
SELECT a.created_at::text AS key, a.task_id AS id, json_build_object(
  'task_id', a.task_id, 'workspace_id', a.workspace_id
)::text AS document
FROM assignments a
WHERE a.user_id = taskbell.actor()
  AND (a.created_at, a.task_id) > (:key::text::timestamptz, :past)
ORDER BY a.created_at, a.task_id LIMIT :at_most
