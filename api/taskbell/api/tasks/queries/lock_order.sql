-- $1 task. One move at a time in a workspace; creating tasks is not held up (its foreign key only shares the key).
SELECT w.id
FROM workspaces w
WHERE w.id = (SELECT t.workspace_id FROM tasks t WHERE t.id = $1)
FOR NO KEY UPDATE
