INSERT INTO email_confirmations (user_id, email, former_email, mailbox, token_hash, expires_at)
VALUES (:user_id, :email, :former_email, :mailbox, :token_hash, :expires_at)
