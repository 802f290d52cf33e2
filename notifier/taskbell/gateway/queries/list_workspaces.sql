SELECT workspace_id::text FROM memberships WHERE user_id = :user_id
