SELECT id, revoked_at
FROM taskbell.revoked_sessions(coalesce(:after::timestamptz, clock_timestamp() - :keep::interval), :past::uuid, :at_most::integer)
