-- All of it is of one snapshot: the tasks, the cells, and the events that the cells do not hold yet.
CREATE OR REPLACE FUNCTION taskbell.report_miscounts()
  RETURNS TABLE (
    workspace_id uuid, measure text, grain integer, person_id uuid, start_at timestamptz, bin integer, amount bigint,
    millis bigint
  ) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
  WITH open AS (
    SELECT t.workspace_id, t.status AS measure, p.id AS person_id, coalesce(t.due_at, 'infinity') AS at, 1 AS amount
    FROM public.tasks t
    CROSS JOIN LATERAL unnest('00000000-0000-0000-0000-000000000000'::uuid || coalesce(
      nullif(t.assignee_ids, '{}'), ARRAY['ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid])) AS p (id)
    WHERE t.status IN ('pending', 'in_progress')
    UNION ALL
    SELECT f.workspace_id, f.measure, f.person_id, f.at, -f.amount
    FROM public.report_state s
    CROSS JOIN LATERAL taskbell.report_facts(s.folded_until, '18446744073709551615', NULL) f
    WHERE f.measure IN ('pending', 'in_progress')
  ), expected AS (
    SELECT o.workspace_id, o.measure, g.grain, o.person_id, taskbell.report_start(g.grain, o.at) AS start_at,
           sum(o.amount)::bigint AS amount
    FROM open o CROSS JOIN unnest('{0,15,180,1440,23040}'::integer[]) AS g (grain)
    GROUP BY 1, 2, 3, 4, 5
  )
  SELECT workspace_id, measure, grain, person_id, start_at, 0, coalesce(e.amount, 0)::bigint, 0::bigint
  FROM expected e
  FULL JOIN (SELECT * FROM public.report_cells c WHERE c.measure IN ('pending', 'in_progress')) c
    USING (workspace_id, measure, grain, person_id, start_at)
  WHERE coalesce(e.amount, 0) <> coalesce(c.amount, 0)
$$;
COMMENT ON FUNCTION taskbell.report_miscounts IS
  'The cells of open tasks that are wrong, with their right amounts: as many as the tasks tell, less what is not folded.';
REVOKE EXECUTE ON FUNCTION taskbell.report_miscounts FROM PUBLIC;
