SELECT id, password_hash, personal_workspace_id FROM taskbell.account_by_email(:email)
