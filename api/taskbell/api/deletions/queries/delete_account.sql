SELECT workspaces_left, workspaces_ended, notified FROM taskbell.delete_account(:traceparent)
