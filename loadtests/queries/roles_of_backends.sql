SELECT pid, coalesce(replace(usename, 'taskbell_', ''), backend_type) FROM pg_stat_activity
