SELECT taskbell.delete_workspace(:workspace_id, :keep::interval, :traceparent)
