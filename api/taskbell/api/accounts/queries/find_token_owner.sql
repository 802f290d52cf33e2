SELECT taskbell.refresh_token_owner(:token_hash)
