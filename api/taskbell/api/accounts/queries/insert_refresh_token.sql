INSERT INTO refresh_tokens (token_hash, session_id, user_id) VALUES (:token_hash, :session_id, :user_id)
