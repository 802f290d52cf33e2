-- How long the oldest event waits to be summed up, in seconds, and how many sums were repaired.
SELECT coalesce(extract(epoch FROM clock_timestamp() - (
  SELECT e.created_at FROM events e WHERE e.xid >= s.folded_until AND e.created_at >= s.counted_from
  ORDER BY e.xid, e.id LIMIT 1
)), 0)::float8 AS lag, s.repaired
FROM report_state s
