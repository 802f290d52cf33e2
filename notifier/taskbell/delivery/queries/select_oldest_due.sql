-- The queues of the rows that have been due for the longest time, in that order.
SELECT id, channel, workspace_id, count(*)::int AS waiting
FROM (
  SELECT CASE WHEN channel IN ('webhook', 'webpush', 'slack', 'teams') THEN endpoint_id ELSE workspace_id END AS id,
    channel, workspace_id, due_at
  FROM deliveries
  WHERE state IN ('pending', 'retrying') AND due_at <= now()
  ORDER BY due_at LIMIT :at_most
) d
GROUP BY id, channel, workspace_id
ORDER BY min(due_at)
