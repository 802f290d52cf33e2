SELECT taskbell.role_in(:workspace_id)
