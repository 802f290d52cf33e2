-- Lets one move at a time work in a workspace. Creating tasks goes on: its foreign key only shares the key.
SELECT w.id
FROM workspaces w
WHERE w.id = (SELECT t.workspace_id FROM tasks t WHERE t.id = :task_id)
FOR NO KEY UPDATE
