SELECT id, user_id, scopes, expires_at FROM taskbell.personal_token(:digest)
