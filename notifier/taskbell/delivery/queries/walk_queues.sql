-- Steps from queue to queue, whatever waits in each: one probe of the index deliveries_queue_idx for each step. Of a
-- channel that is passed over, one queue is met at most.
WITH RECURSIVE step AS (
  (
    SELECT channel, CASE WHEN channel IN ('webhook', 'webpush', 'slack', 'teams') THEN endpoint_id ELSE workspace_id END AS id,
      workspace_id, due_at, 1 AS number
    FROM deliveries
    WHERE state IN ('pending', 'retrying')
      AND (channel, CASE WHEN channel IN ('webhook', 'webpush', 'slack', 'teams') THEN endpoint_id ELSE workspace_id END)
          > (:past_channel::text, :past::uuid)
    ORDER BY channel, CASE WHEN channel IN ('webhook', 'webpush', 'slack', 'teams') THEN endpoint_id ELSE workspace_id END,
      due_at
    LIMIT 1
  )
  UNION ALL
  SELECT next.channel, next.id, next.workspace_id, next.due_at, step.number + 1
  FROM step CROSS JOIN LATERAL (
    SELECT channel, CASE WHEN channel IN ('webhook', 'webpush', 'slack', 'teams') THEN endpoint_id ELSE workspace_id END AS id,
      workspace_id, due_at
    FROM deliveries
    WHERE state IN ('pending', 'retrying')
      AND (channel, CASE WHEN channel IN ('webhook', 'webpush', 'slack', 'teams') THEN endpoint_id ELSE workspace_id END)
          > (step.channel, CASE WHEN step.channel = ANY (:passed_over::text[]) THEN 'ffffffff-ffff-ffff-ffff-ffffffffffff' ELSE step.id END)
    ORDER BY channel, CASE WHEN channel IN ('webhook', 'webpush', 'slack', 'teams') THEN endpoint_id ELSE workspace_id END,
      due_at
    LIMIT 1
  ) next
  WHERE step.number < :at_most
)
SELECT channel, id, workspace_id, due_at <= now() AS is_due FROM step
