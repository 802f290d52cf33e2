UPDATE alert_endpoints SET name = :name
WHERE id = :id AND user_id = :user_id AND kind IN ('fcm', 'apns', 'webpush')
RETURNING id, kind, name, substr(encode(address_hash, 'hex'), 1, 16) AS fingerprint, environment, created_at, registered_at,
  CASE WHEN kind = 'webpush' THEN substring(address FROM '(?i)^https://(\[[^]]*\]|[^/:?#]*)') END AS push_service
