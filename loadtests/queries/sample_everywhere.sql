-- $1 workspace, $2 percent of the tasks
SELECT id FROM tasks TABLESAMPLE BERNOULLI ($2) WHERE workspace_id = $1
