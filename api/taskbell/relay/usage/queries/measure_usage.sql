-- A level sinks by :daily bytes in a day, and rises by what was written. Above :daily it is too high.
WITH fresh AS (
  SELECT f.workspace_id, f.bytes, :until::timestamptz AS measured_at,
    greatest(0, coalesce(u.level_bytes - :daily::bigint * extract(epoch FROM :until - u.measured_at) / 86400, 0))
      + f.bytes AS level
  FROM taskbell.written_bytes(:first_id, :next_id) f LEFT JOIN workspace_usage u ON u.workspace_id = f.workspace_id
)
INSERT INTO workspace_usage AS u (workspace_id, level_bytes, uncounted_bytes, measured_at, refused_until)
SELECT workspace_id, level, bytes, measured_at,
  CASE WHEN level > :daily THEN measured_at + (level / :daily - 1)::float8 * interval '1 day' END
FROM fresh
ON CONFLICT (workspace_id) DO UPDATE SET level_bytes = excluded.level_bytes, measured_at = excluded.measured_at,
  uncounted_bytes = u.uncounted_bytes + excluded.uncounted_bytes, refused_until = excluded.refused_until
RETURNING workspace_id,
  uncounted_bytes > greatest(:tasks::bigint / 16, task_bytes / 8)
    OR (tasks_full AND counted_at < measured_at - interval '1 minute') AS is_uncounted
