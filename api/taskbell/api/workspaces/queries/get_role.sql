SELECT role FROM memberships WHERE workspace_id = :workspace_id AND user_id = :user_id
