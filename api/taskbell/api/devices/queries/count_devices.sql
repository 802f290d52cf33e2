-- Those other than the one that is to be registered.
SELECT count(*) FROM alert_endpoints
WHERE user_id = :user_id AND kind IN ('fcm', 'apns', 'webpush')
  AND NOT (kind = :kind AND address_hash = sha256(convert_to(:address, 'UTF8')))
