-- Claim, job log, notifications and their events in one statement: all of a reminder commits, or nothing.
-- What another sweep holds is skipped; when that sweep is killed, it is due again. The job's id names the reminder and
-- the due time: a job that the log holds already notifies nobody.
WITH due AS MATERIALIZED (
  -- Those of a deleted workspace wait for its deadline; when it is restored before, they fire then.
  SELECT task_id, lead, fire_at, (
    SELECT w.restorable_until FROM workspaces w WHERE w.id = reminders.workspace_id
  ) AS hidden_until
  FROM reminders
  WHERE kind = :kind AND fire_at <= now()
    AND (:shards = 1 OR (hashtext(task_id::text) & 2147483647) % :shards = :shard)
    AND (:leads::interval[] IS NULL OR lead = ANY (:leads))
  ORDER BY fire_at
  LIMIT :at_most
  FOR UPDATE SKIP LOCKED
), held AS (
  UPDATE reminders r
  SET fire_at = taskbell.waits_until(r.workspace_id)
  FROM due d
  WHERE r.task_id = d.task_id AND r.kind = :kind AND r.lead = d.lead AND d.hidden_until IS NOT NULL
  RETURNING d.fire_at
), claimed AS (
  DELETE FROM reminders r USING due d
  WHERE r.task_id = d.task_id AND r.kind = :kind AND r.lead = d.lead AND d.hidden_until IS NULL
  RETURNING r.task_id, r.workspace_id, r.lead, r.fire_at
), job AS MATERIALIZED (
  SELECT c.fire_at, t.id AS task_id, t.workspace_id, t.title, t.priority, t.due_at, t.assignee_ids, t.created_by,
         :kind || ':' || t.id || ':' || extract(epoch FROM t.due_at)
         || CASE WHEN :kind = 'due_soon' THEN ':' || extract(epoch FROM c.lead) ELSE '' END AS job_id
  FROM claimed c LEFT JOIN LATERAL (  -- LIMIT: each task is looked up by its key, whatever the planner knows
    SELECT id, workspace_id, title, priority, due_at, assignee_ids, created_by FROM tasks
    WHERE id = c.task_id AND workspace_id = c.workspace_id AND status IN ('pending', 'in_progress')
      AND CASE WHEN :kind = 'overdue' THEN due_at <= now() ELSE due_at IS NOT NULL END
    LIMIT 1
  ) t ON true
), logged AS (
  INSERT INTO job_log (job_id, planned_at) SELECT job_id, fire_at FROM job WHERE job_id IS NOT NULL
  ON CONFLICT DO NOTHING
  RETURNING job_id
), judged AS MATERIALIZED (
  -- IN is answered from a hash table; a join of two parts of the batch would be a loop in a loop (see the role's plans).
  SELECT j.*, CASE WHEN j.job_id IS NULL THEN 'void'
                   WHEN j.job_id IN (SELECT l.job_id FROM logged l) THEN 'fired'
                   ELSE 'repeated' END AS outcome
  FROM job j
)
SELECT extract(epoch FROM now() - fire_at)::float8 AS lateness,
       outcome,
       CASE WHEN outcome = 'fired' THEN
         taskbell.notify(
           taskbell.responsible(workspace_id, created_by, assignee_ids), :kind, workspace_id, task_id, NULL, title,
           CASE WHEN :kind = 'overdue' THEN 'Was due at ' ELSE 'Due at ' END || taskbell.plain_time(due_at), NULL,
           urgent => priority = 1)
       ELSE 0 END AS told
FROM judged
UNION ALL
SELECT extract(epoch FROM now() - fire_at)::float8, 'void', 0 FROM held
