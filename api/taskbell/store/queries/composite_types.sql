SELECT relname::text FROM pg_class WHERE relnamespace = 'taskbell'::regnamespace AND relkind = 'c'
