-- $1 workspace, $2 moved task, $3 position, $4 how many
SELECT id, position FROM tasks
WHERE workspace_id = $1 AND position >= $3 AND id <> $2
ORDER BY position, id LIMIT $4
