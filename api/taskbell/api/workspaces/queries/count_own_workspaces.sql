SELECT count(*) FROM memberships WHERE user_id = :actor
