-- Its bots go with it.
WITH summed AS (DELETE FROM report_cells WHERE workspace_id = :id),
  preferred AS (DELETE FROM alert_preferences WHERE workspace_id = :id),
  measured AS (DELETE FROM workspace_usage WHERE workspace_id = :id)
DELETE FROM workspaces WHERE id = :id
