SELECT token, extract(epoch FROM issued_at)::float8 AS issued_at FROM provider_tokens WHERE provider = :provider AND key_id = :key_id
