-- Reminders that fired and are visible now but were not in the snapshot :seen (NULL: none), counted by how late they
-- were; and the snapshot of this very statement. So each is counted once, whenever its transaction ends. That is half a
-- minute after the job's time at most: older rows need not be read.
WITH fired AS (
  SELECT extract(epoch FROM finished_at - planned_at)::float8 AS lateness
  FROM job_log
  WHERE finished_at > now() - interval '2 minutes' AND planned_at IS NOT NULL
    AND NOT pg_visible_in_snapshot(xid, :seen::text::pg_snapshot)
), counted AS (
  SELECT width_bucket(lateness, :bounds::float8[]) AS place, count(*) AS reminders, sum(lateness) AS seconds
  FROM fired
  GROUP BY place
)
SELECT pg_current_snapshot()::text AS snapshot, c.place, c.reminders, c.seconds
FROM (SELECT) AS always LEFT JOIN counted c ON true
