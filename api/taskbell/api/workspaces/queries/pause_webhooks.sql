SELECT taskbell.pause_webhooks(:workspace_id, :user_id, :traceparent)
