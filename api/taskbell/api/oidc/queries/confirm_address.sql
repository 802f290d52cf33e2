UPDATE users SET email_confirmed_at = clock_timestamp() WHERE id = :id
