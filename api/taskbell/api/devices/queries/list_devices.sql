SELECT id, kind, name, substr(encode(address_hash, 'hex'), 1, 16) AS fingerprint, environment, created_at, registered_at,
  CASE WHEN kind = 'webpush' THEN substring(address FROM '(?i)^https://(\[[^]]*\]|[^/:?#]*)') END AS push_service
FROM alert_endpoints
WHERE user_id = :user_id AND kind IN ('fcm', 'apns', 'webpush') AND (:past::uuid IS NULL OR id > :past)
ORDER BY id
LIMIT :at_most
