-- The key is the workspace and the task: the order of an index, within each workspace of the actor.
SELECT concat(c.workspace_id, ' ', c.task_id) AS key, c.id, c.document
FROM memberships m
CROSS JOIN LATERAL (
  SELECT o.workspace_id, o.task_id, o.id, taskbell.comment_document(o)::text AS document FROM comments o
  WHERE o.workspace_id = m.workspace_id AND o.author_id = taskbell.actor()
    AND (o.workspace_id, o.task_id, o.id)
      > (split_part(:key::text, ' ', 1)::uuid, split_part(:key::text, ' ', 2)::uuid, :past)
  ORDER BY o.task_id, o.id LIMIT :at_most
) c
WHERE m.user_id = taskbell.actor()
  AND m.workspace_id >= split_part(:key::text, ' ', 1)::uuid
ORDER BY c.workspace_id, c.task_id, c.id LIMIT :at_most
