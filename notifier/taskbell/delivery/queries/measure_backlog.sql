-- What is due by channel, among the 10,000 that have been due the longest.
SELECT channel, count(*)::int AS waiting, extract(epoch FROM now() - min(d.due_at))::float8 AS oldest FROM (
  SELECT channel, due_at FROM deliveries WHERE state IN ('pending', 'retrying') AND due_at <= now() ORDER BY due_at LIMIT 10000
) d
GROUP BY channel
