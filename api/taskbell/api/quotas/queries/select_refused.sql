SELECT workspace_id, refused_for, tasks_full FROM taskbell.refused_workspaces()
