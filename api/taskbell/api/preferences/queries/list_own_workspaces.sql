SELECT workspace_id FROM memberships WHERE user_id = :user_id AND workspace_id = ANY (:workspaces::uuid[])
