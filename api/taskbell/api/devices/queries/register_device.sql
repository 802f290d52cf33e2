SELECT id, kind, name, substr(encode(address_hash, 'hex'), 1, 16) AS fingerprint, environment, created_at, registered_at,
  CASE WHEN kind = 'webpush' THEN substring(address FROM '(?i)^https://(\[[^]]*\]|[^/:?#]*)') END AS push_service
FROM taskbell.register_endpoint(:id, :kind, :address, :p256dh, :auth, :environment, :name)
