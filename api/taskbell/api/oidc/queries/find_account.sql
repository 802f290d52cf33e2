SELECT id, personal_workspace_id, password_version FROM taskbell.account_by_identity(:issuer, :subject)
