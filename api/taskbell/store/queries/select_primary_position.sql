-- Where the primary stands: all transactions that anybody may see by now are older than `next`, and their log ends before
-- `log_end`. A commit is shown after it was flushed, unless commits are asynchronous; then what was only inserted counts,
-- too. What is not flushed reaches no replica, and may wait for seconds. An error on a server that is no primary.
SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next,
       pg_wal_lsn_diff(CASE WHEN current_setting('synchronous_commit') = 'off' THEN pg_current_wal_insert_lsn()
                            ELSE pg_current_wal_flush_lsn() END, '0/0')::bigint AS log_end,
       current_setting('wal_block_size')::bigint AS page,
       pg_size_bytes(current_setting('wal_segment_size')) AS segment
