SELECT workspace_id, name FROM taskbell.lock_departure()
