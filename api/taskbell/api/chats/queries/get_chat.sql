SELECT kind, substring(address FROM '(?i)^https://(\[[^]]*\]|[^/:?#]*)') AS host, created_at, registered_at
FROM alert_endpoints WHERE user_id = :user_id AND kind = :kind
