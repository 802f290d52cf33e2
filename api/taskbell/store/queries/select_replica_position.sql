-- Where a replica stands. It shows all transactions older than `passed` as finished. `replayed` is NULL on a server that
-- is no replica (any more).
SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS passed,
       CASE WHEN pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint END AS replayed
