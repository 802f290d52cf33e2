-- Writes the digests that are due, each once for a local date, with their job log and events: all of them, or nothing.
-- Who has nothing due and nothing unread is logged, and not notified.
WITH asked AS MATERIALIZED (
  SELECT person, workspace, until, 'digest:' || person || ':' || to_char(day, 'YYYY-MM-DD') AS job_id
  FROM unnest(:people::uuid[], :workspaces::uuid[], :days::date[], :untils::timestamptz[]) AS a (person, workspace, day, until)
), logged AS (
  INSERT INTO job_log (job_id) SELECT job_id FROM asked
  ON CONFLICT DO NOTHING
  RETURNING job_id
), counted AS MATERIALIZED (
  SELECT a.person, a.workspace,
         concat_ws(', ', nullif(c.due_today, 0) || ' due today', nullif(c.overdue, 0) || ' overdue',
                   nullif(c.unread, 0) || ' unread') AS body
  FROM asked a CROSS JOIN LATERAL taskbell.day_counts(a.person, a.until) c
  WHERE a.job_id IN (SELECT l.job_id FROM logged l)
)
SELECT count(*)::integer AS fired,
       coalesce(sum(CASE WHEN body <> '' THEN
         taskbell.notify(ARRAY[person], 'digest', workspace, NULL, NULL, 'Your day', body, NULL)
       ELSE 0 END), 0)::integer AS told
FROM counted
