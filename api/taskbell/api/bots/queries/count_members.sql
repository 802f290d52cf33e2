SELECT count(*) FROM memberships WHERE workspace_id = :workspace_id
