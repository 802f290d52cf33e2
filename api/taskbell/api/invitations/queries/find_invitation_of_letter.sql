SELECT taskbell.invitation_of_letter(:token_hash)
