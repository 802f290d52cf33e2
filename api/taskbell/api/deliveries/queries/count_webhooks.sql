SELECT count(*) FROM webhooks WHERE workspace_id = :workspace_id
