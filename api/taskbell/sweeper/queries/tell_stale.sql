-- One step of a walk over the tasks by their key: looks at :walk_at_most tasks after :after, and tells of the stale ones
-- among them. Job log, notifications and their events in one statement: all of a step commits, or nothing.
-- The job's id names the task and the change of its status: what the log holds already tells nobody. A change that is 90
-- days old is found no more, since the log forgets it then (delete_job_log).
WITH walked AS MATERIALIZED (
  SELECT id, workspace_id, title, status, status_changed_at, assignee_ids, created_by,
         'stale:' || id || ':' || extract(epoch FROM status_changed_at) AS job_id
  FROM tasks
  WHERE id > :after AND id < :until
  ORDER BY id
  LIMIT :walk_at_most
), found AS MATERIALIZED (
  SELECT w.* FROM walked w
  WHERE w.status IN ('pending', 'in_progress')
    AND w.status_changed_at <= now() - :stale_after::interval AND w.status_changed_at > now() - interval '90 days'
    AND (:shards = 1 OR (hashtext(w.id::text) & 2147483647) % :shards = :shard)
    AND NOT EXISTS (SELECT FROM job_log l WHERE l.job_id = w.job_id)
    AND NOT EXISTS (SELECT FROM workspaces x WHERE x.id = w.workspace_id AND x.restorable_until IS NOT NULL)
  ORDER BY w.id
  LIMIT :tell_at_most
), logged AS (
  INSERT INTO job_log (job_id) SELECT job_id FROM found
  ON CONFLICT DO NOTHING
  RETURNING job_id
), fired AS MATERIALIZED (
  SELECT taskbell.notify(
           taskbell.responsible(f.workspace_id, f.created_by, f.assignee_ids), 'stale', f.workspace_id, f.id, NULL, f.title,
           format('Status %s since %s', f.status, taskbell.plain_time(f.status_changed_at)), NULL) AS told
  FROM found f WHERE f.job_id IN (SELECT l.job_id FROM logged l)
)
SELECT (SELECT count(*) FROM walked)::integer AS walked,
       (SELECT count(*) FROM found)::integer AS found,
       (SELECT count(*) FROM fired)::integer AS fired,
       (SELECT coalesce(sum(told), 0) FROM fired)::integer AS told,
       -- Where it told of as many as it may, tasks that it has looked at may be stale, too.
       CASE WHEN (SELECT count(*) FROM found) < :tell_at_most THEN (SELECT id FROM walked ORDER BY id DESC LIMIT 1)
            ELSE (SELECT id FROM found ORDER BY id DESC LIMIT 1) END AS last
