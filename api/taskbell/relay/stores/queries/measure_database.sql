-- Everybody may read these views; of other users' sessions they show who it is and not what it does.
SELECT pg_database_size(d.datname) AS bytes,
  d.xact_commit AS commits, d.xact_rollback AS rollbacks, d.deadlocks, d.temp_bytes,
  d.blks_hit * current_setting('block_size')::bigint AS bytes_from_memory,
  d.blks_read * current_setting('block_size')::bigint AS bytes_from_disk,
  (SELECT count(*) FROM pg_locks WHERE NOT granted) AS waiting_locks,
  (SELECT age(datfrozenxid) FROM pg_database WHERE datname = d.datname) AS transactions_not_frozen,
  pg_snapshot_xmax(pg_current_snapshot())::text::bigint - pg_snapshot_xmin(pg_current_snapshot())::text::bigint
    AS transactions_held_back,
  current_setting('max_connections')::int AS most_connections,
  pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 AS log_bytes,
  (SELECT count(*) FROM pg_stat_replication) AS replicas,
  (SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), 0)::float8 FROM pg_replication_slots)
    AS replica_lag_bytes
FROM pg_stat_database d WHERE d.datname = current_database()
