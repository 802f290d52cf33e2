-- $1 a position in the primary's log
SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn
