SELECT taskbell.password_reset_owner(:token_hash)
