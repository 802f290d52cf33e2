-- Which of some users are members of a workspace.
SELECT taskbell.audience(:workspace_id, :user_ids)
