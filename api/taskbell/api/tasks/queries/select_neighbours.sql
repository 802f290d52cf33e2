-- The gap next to the anchor, without the moved task.
SELECT
  moved.position AS moved_position,
  anchor.position AS anchor_position,
  (SELECT p.position FROM tasks p
   WHERE p.workspace_id = :workspace_id AND p.position < anchor.position AND p.id <> :task_id
   ORDER BY p.position DESC, p.id DESC LIMIT 1) AS before_anchor,
  (SELECT n.position FROM tasks n
   WHERE n.workspace_id = :workspace_id AND n.position > anchor.position AND n.id <> :task_id
   ORDER BY n.position, n.id LIMIT 1) AS after_anchor
FROM tasks anchor, tasks moved
WHERE anchor.id = :anchor_id AND anchor.workspace_id = :workspace_id
  AND moved.id = :task_id AND moved.workspace_id = :workspace_id
