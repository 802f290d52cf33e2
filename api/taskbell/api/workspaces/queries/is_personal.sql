SELECT taskbell.is_personal(:workspace_id, :user_id)
