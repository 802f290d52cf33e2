SELECT id, name, created_at, deleted_at, restorable_until FROM taskbell.deleted_workspaces(:past, :at_most)
