INSERT INTO provider_tokens (provider, key_id, token, issued_at) VALUES (:provider, :key_id, :token, to_timestamp(:issued_at))
ON CONFLICT (provider, key_id) DO UPDATE SET token = excluded.token, issued_at = excluded.issued_at
WHERE provider_tokens.issued_at <= to_timestamp(:unless_after)
