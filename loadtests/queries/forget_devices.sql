DELETE FROM alert_endpoints WHERE kind = 'fcm'
