-- Steps from queue to queue, whatever waits in each: one probe of the index deliveries_queue_idx for each step.
WITH RECURSIVE step AS (
  (
    SELECT CASE WHEN channel = 'webhook' THEN endpoint_id ELSE workspace_id END AS id, channel, workspace_id, due_at,
      1 AS number
    FROM deliveries
    WHERE state IN ('pending', 'retrying')
      AND CASE WHEN channel = 'webhook' THEN endpoint_id ELSE workspace_id END > :past
    ORDER BY CASE WHEN channel = 'webhook' THEN endpoint_id ELSE workspace_id END, due_at
    LIMIT 1
  )
  UNION ALL
  SELECT next.id, next.channel, next.workspace_id, next.due_at, step.number + 1
  FROM step CROSS JOIN LATERAL (
    SELECT CASE WHEN channel = 'webhook' THEN endpoint_id ELSE workspace_id END AS id, channel, workspace_id, due_at
    FROM deliveries
    WHERE state IN ('pending', 'retrying')
      AND CASE WHEN channel = 'webhook' THEN endpoint_id ELSE workspace_id END > step.id
    ORDER BY CASE WHEN channel = 'webhook' THEN endpoint_id ELSE workspace_id END, due_at
    LIMIT 1
  ) next
  WHERE step.number < :at_most
)
SELECT id, channel, workspace_id, due_at <= now() AS is_due FROM step
