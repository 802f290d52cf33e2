UPDATE email_confirmations SET used_at = clock_timestamp()
WHERE user_id = :user_id AND former_email IS NOT NULL AND used_at IS NULL
