UPDATE email_confirmations c SET used_at = clock_timestamp()
FROM users u
WHERE c.token_hash = :token_hash AND c.user_id = :user_id AND c.used_at IS NULL AND c.expires_at > clock_timestamp()
  AND u.id = c.user_id AND u.email = c.email
