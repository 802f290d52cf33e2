-- The letter came to this address, so it is confirmed with that.
UPDATE users SET email_confirmed_at = clock_timestamp(), updated_at = clock_timestamp()
WHERE id = :actor AND email_confirmed_at IS NULL
