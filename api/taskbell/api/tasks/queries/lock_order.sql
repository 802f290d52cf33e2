-- Lets one move at a time work in a workspace. Tasks can still be created: their foreign key only shares the key.
SELECT w.id
FROM workspaces w
WHERE w.id = (SELECT t.workspace_id FROM tasks t WHERE t.id = :task_id)
FOR NO KEY UPDATE
