SELECT id FROM taskbell.account_by_email(:email)
