-- The gap beside the anchor, without the moved task. $1 workspace, $2 moved task, $3 anchor
SELECT
  moved.position AS moved_position,
  anchor.position AS anchor_position,
  (SELECT p.position FROM tasks p WHERE p.workspace_id = $1 AND p.position < anchor.position AND p.id <> $2
   ORDER BY p.position DESC, p.id DESC LIMIT 1) AS before_anchor,
  (SELECT n.position FROM tasks n WHERE n.workspace_id = $1 AND n.position > anchor.position AND n.id <> $2
   ORDER BY n.position, n.id LIMIT 1) AS after_anchor
FROM tasks anchor, tasks moved
WHERE anchor.id = $3 AND anchor.workspace_id = $1 AND moved.id = $2 AND moved.workspace_id = $1
