DELETE FROM alert_endpoints WHERE id = :id AND user_id = :user_id AND kind IN ('fcm', 'apns', 'webpush')
