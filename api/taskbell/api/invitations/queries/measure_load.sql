SELECT * FROM taskbell.invitation_load(:workspace_id, :email)
