-- One row for a table with all its partitions. To measure a table is to wait for its lock, so one that is about to be
-- changed or dropped counts nothing; nor do its indexes while one is rebuilt, or its data while that of its long texts
-- is. A partition that was dropped meanwhile has no size.
WITH locked AS MATERIALIZED (
  SELECT relation FROM pg_locks WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock'
), rebuilt AS MATERIALIZED (
  SELECT indrelid FROM pg_index WHERE indexrelid IN (SELECT relation FROM locked)
), part AS MATERIALIZED (
  SELECT oid, relname, oid IN (SELECT relation FROM locked) AS is_locked,
         oid IN (SELECT indrelid FROM rebuilt) AS has_rebuilt_index,
         reltoastrelid IN (SELECT relation FROM locked UNION ALL SELECT indrelid FROM rebuilt) AS are_texts_locked
  FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
)
SELECT coalesce(parent.relname, part.relname)::text AS name,
  count(parent.oid) AS partitions,
  coalesce(sum(CASE WHEN NOT is_locked AND NOT are_texts_locked THEN pg_table_size(part.oid) END), 0)::float8
    AS data_bytes,
  coalesce(sum(CASE WHEN NOT is_locked AND NOT has_rebuilt_index THEN pg_indexes_size(part.oid) END), 0)::float8
    AS index_bytes,
  coalesce(sum(pg_stat_get_live_tuples(part.oid)), 0)::float8 AS live_rows,
  coalesce(sum(pg_stat_get_dead_tuples(part.oid)), 0)::float8 AS dead_rows,
  coalesce(sum(pg_stat_get_live_tuples(part.oid)) FILTER (WHERE part.relname LIKE '%\_default'), 0)::float8
    AS rows_outside
FROM part
LEFT JOIN pg_inherits ON inhrelid = part.oid
LEFT JOIN pg_class parent ON parent.oid = inhparent
GROUP BY 1
