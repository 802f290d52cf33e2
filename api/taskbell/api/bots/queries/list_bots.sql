SELECT id, name, role, created_at FROM taskbell.bots_of(:workspace_id, :only, :past, :at_most)
