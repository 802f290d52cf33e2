-- The tasks up to a position, nearest first, without the moved task.
SELECT id, position FROM tasks
WHERE workspace_id = :workspace_id AND position <= :position AND id <> :task_id
ORDER BY position DESC, id DESC LIMIT :limit
