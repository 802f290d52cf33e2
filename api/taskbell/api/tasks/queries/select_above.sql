-- The tasks from a position on, nearest first, without the moved task.
SELECT id, position FROM tasks
WHERE workspace_id = :workspace_id AND position >= :position AND id <> :task_id
ORDER BY position, id LIMIT :limit
