WITH counted AS MATERIALIZED (SELECT taskbell.task_bytes(:workspace_id) AS bytes)
UPDATE workspace_usage
SET task_bytes = counted.bytes, tasks_full = counted.bytes > :tasks, uncounted_bytes = 0, counted_at = clock_timestamp()
FROM counted WHERE workspace_id = :workspace_id
