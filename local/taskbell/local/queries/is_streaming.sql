SELECT EXISTS (SELECT 1 FROM pg_stat_wal_receiver)
