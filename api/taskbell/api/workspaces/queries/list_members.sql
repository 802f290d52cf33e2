SELECT user_id, email, name, role, created_at, is_bot FROM taskbell.members_of(:workspace_id, :past, :at_most)
