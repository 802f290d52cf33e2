-- Each fact once for everybody (the nil UUID) and once for each person whom it counts for. What one change did is told
-- by several events of one transaction, which hold the task after the change and each some of the former values.
-- An event whose data is no task is passed over: one that cannot be read would stop the sums of all workspaces.
CREATE OR REPLACE FUNCTION taskbell.report_facts(since xid8, until xid8, workspace uuid)
  RETURNS TABLE (
    workspace_id uuid, measure text, person_id uuid, at timestamptz, bin integer, amount bigint, millis bigint
  ) LANGUAGE sql STABLE SET enable_seqscan = off SET jit = off AS $$
  WITH told AS (
    SELECT e.workspace_id, e.xid, e.subject_id, e.type, coalesce(e.actor_id, d.created_by) AS actor_id,
           e.created_at AS told_at, d.version, d.status, d.due_at, d.assignee_ids, d.created_by, d.created_at,
           d.status_changed_at, d.completed_at, p.status AS former_status, p.due_at AS former_due_at,
           (d.previous -> 'due_at') IS NOT NULL AS changes_due_at, p.assignee_ids AS former_assignee_ids
    FROM public.events e
    CROSS JOIN LATERAL json_to_record(CASE WHEN json_typeof(e.data) = 'object' THEN e.data ELSE '{}' END) AS d (
      version bigint, status text, due_at timestamptz, assignee_ids uuid[], created_by uuid, created_at timestamptz,
      status_changed_at timestamptz, completed_at timestamptz, previous json)
    CROSS JOIN LATERAL json_to_record(coalesce(d.previous, '{}')) AS p (
      status text, due_at timestamptz, assignee_ids uuid[])
    WHERE e.xid >= report_facts.since AND e.xid < report_facts.until
      AND (report_facts.workspace IS NULL OR e.workspace_id = report_facts.workspace)
      AND e.type IN ('task.created', 'task.updated', 'task.status_changed', 'task.assigned', 'task.deleted')
      AND d.version IS NOT NULL
  ), joined AS (
    SELECT t.workspace_id, bool_or(t.type = 'task.created') AS is_new, bool_or(t.type = 'task.deleted') AS is_gone,
           (array_agg(t.actor_id))[1] AS actor_id, max(t.told_at) AS told_at, max(t.status) AS status,
           max(t.due_at) AS due_at, max(t.assignee_ids) AS assignee_ids, (array_agg(t.created_by))[1] AS created_by,
           max(t.created_at) AS created_at, max(t.status_changed_at) AS status_changed_at,
           max(t.completed_at) AS completed_at, max(t.former_status) AS former_status,
           max(t.former_due_at) AS former_due_at, bool_or(t.changes_due_at) AS changes_due_at,
           max(t.former_assignee_ids) AS former_assignee_ids
    FROM told t
    GROUP BY t.workspace_id, t.xid, t.subject_id, t.version
  ), change AS (
    SELECT j.*,
           CASE WHEN NOT j.is_new THEN coalesce(j.former_status, j.status) END AS old_status,
           CASE WHEN j.changes_due_at THEN j.former_due_at ELSE j.due_at END AS old_due_at,
           coalesce(j.former_assignee_ids, j.assignee_ids) AS old_assignee_ids,
           CASE WHEN NOT j.is_gone THEN j.status END AS new_status,
           coalesce(nullif(j.assignee_ids, '{}'), ARRAY[j.actor_id]) AS people,
           greatest(0, floor(extract(epoch FROM j.completed_at - j.created_at) * 1000))::bigint AS millis
    FROM joined j
  ), fact AS (
    SELECT c.workspace_id, f.*
    FROM change c CROSS JOIN LATERAL (VALUES
      ('created', c.is_new, ARRAY[c.created_by], c.created_at, 0, 1, 0),
      ('completed', c.new_status = 'completed' AND c.old_status IS DISTINCT FROM 'completed',
       c.people, c.completed_at, 0, 1, 0),
      ('cycle_time', c.new_status = 'completed' AND c.old_status <> 'completed',
       c.people, c.completed_at, floor(ln(greatest(c.millis, 1)::float8) / ln(1.1::float8))::integer, 1, c.millis),
      ('reopened', c.old_status IN ('completed', 'cancelled') AND c.new_status IN ('pending', 'in_progress'),
       c.people, c.status_changed_at, 0, 1, 0),
      ('cancelled', c.new_status = 'cancelled' AND c.old_status IS DISTINCT FROM 'cancelled',
       c.people, c.status_changed_at, 0, 1, 0),
      ('deleted', c.is_gone, c.people, c.told_at, 0, 1, 0),
      (c.old_status, c.old_status IN ('pending', 'in_progress'),
       coalesce(nullif(c.old_assignee_ids, '{}'), ARRAY['ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid]),
       coalesce(c.old_due_at, 'infinity'), 0, -1, 0),
      (c.new_status, c.new_status IN ('pending', 'in_progress'),
       coalesce(nullif(c.assignee_ids, '{}'), ARRAY['ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid]),
       coalesce(c.due_at, 'infinity'), 0, 1, 0)
    ) AS f (measure, holds, people, at, bin, amount, millis)
    WHERE f.holds AND f.at IS NOT NULL
  )
  SELECT f.workspace_id, f.measure, p.id, f.at, f.bin, f.amount::bigint, f.millis::bigint
  FROM fact f CROSS JOIN LATERAL unnest('00000000-0000-0000-0000-000000000000'::uuid || f.people) AS p (id)
$$;
COMMENT ON FUNCTION taskbell.report_facts IS
  'What the events of a range of transactions tell for reports, of one workspace or (NULL) of all: a measure, whom it '
  'counts for, when (of open tasks: when they are due), and by how much it changes.';
