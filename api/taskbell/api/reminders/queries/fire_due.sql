-- Claim, job log, notifications and their events in one statement: all of a reminder commits, or nothing.
-- What another sweep holds is passed over; when that sweep is killed, it is due again. The job's id says which reminder
-- of which due time it is: whoever finds it in the log already tells nobody.
-- $1 at most, $2 shard, $3 shards
WITH due AS MATERIALIZED (
  SELECT task_id, lead FROM reminders
  WHERE fire_at <= now() AND ($3 = 1 OR (hashtext(task_id::text) & 2147483647) % $3 = $2)
  ORDER BY fire_at
  LIMIT $1
  FOR UPDATE SKIP LOCKED
), claimed AS (
  DELETE FROM reminders r USING due d WHERE r.task_id = d.task_id AND r.lead = d.lead
  RETURNING r.task_id, r.workspace_id, r.lead, r.fire_at
), job AS MATERIALIZED (
  SELECT c.task_id, c.lead, c.fire_at, c.workspace_id, t.title, t.due_at, t.assignee_ids, t.created_by,
         'due_soon:' || c.task_id || ':' || extract(epoch FROM t.due_at) || ':' || extract(epoch FROM c.lead) AS job_id
  FROM claimed c JOIN tasks t ON t.id = c.task_id AND t.workspace_id = c.workspace_id
  WHERE t.status IN ('pending', 'in_progress') AND t.due_at IS NOT NULL
), logged AS (
  INSERT INTO job_log (job_id, planned_at) SELECT job_id, fire_at FROM job
  ON CONFLICT DO NOTHING
  RETURNING job_id
)
SELECT extract(epoch FROM now() - c.fire_at)::float8 AS lateness,
       CASE WHEN j.job_id IS NULL THEN 'void' WHEN l.job_id IS NULL THEN 'repeated' ELSE 'fired' END AS outcome,
       CASE WHEN l.job_id IS NOT NULL THEN
         taskbell.notify(
           coalesce(nullif(taskbell.audience(j.workspace_id, j.assignee_ids), '{}'), ARRAY[j.created_by]),
           'due_soon', j.workspace_id, j.task_id, NULL, j.title, 'Due at ' || taskbell.rfc3339(j.due_at), NULL)
       ELSE 0 END AS told
FROM claimed c
LEFT JOIN job j ON j.task_id = c.task_id AND j.lead = c.lead
LEFT JOIN logged l ON l.job_id = j.job_id
