SELECT * FROM taskbell.member_of(:workspace_id, :user_id)
