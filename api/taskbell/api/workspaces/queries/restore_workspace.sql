SELECT taskbell.restore_workspace(:workspace_id, :traceparent)
