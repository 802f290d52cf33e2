SELECT user_id, email, name, role, created_at FROM taskbell.members_of(:workspace_id, :past, :at_most)
