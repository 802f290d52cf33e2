SELECT id, password_hash, personal_workspace_id, password_version FROM taskbell.account_by_email(:email)
