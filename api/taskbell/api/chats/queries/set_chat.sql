SELECT id, kind, substring(address FROM '(?i)^https://(\[[^]]*\]|[^/:?#]*)') AS host, created_at, registered_at
FROM taskbell.register_endpoint(:id, :kind, :url, NULL, NULL, NULL, NULL)
