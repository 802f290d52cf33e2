-- fold_reports calls it, with the row of report_state locked. Whether a task was reopened or deleted before is not known.
CREATE OR REPLACE FUNCTION taskbell.seed_reports(at_most integer) RETURNS integer
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  state public.report_state;
  looked integer;
  last uuid;
BEGIN
  SELECT * INTO state FROM public.report_state;
  SELECT count(*), (array_agg(page.id ORDER BY page.id DESC))[1] INTO looked, last
  FROM (SELECT t.id FROM public.tasks t WHERE t.id > state.seed_after ORDER BY t.id LIMIT at_most) page;
  INSERT INTO public.report_cells AS c (workspace_id, measure, grain, person_id, start_at, bin, amount, millis)
  SELECT t.workspace_id, f.measure, g.grain, p.id, taskbell.report_start(g.grain, f.at), f.bin, count(*), sum(f.millis)
  FROM (
    SELECT *, greatest(0, floor(extract(epoch FROM known.completed_at - known.created_at) * 1000))::bigint AS millis,
           coalesce(nullif(known.assignee_ids, '{}'), ARRAY[known.created_by]) AS people
    FROM public.tasks known WHERE known.id > state.seed_after AND known.id <= last
  ) t
  CROSS JOIN LATERAL (VALUES
    ('created', true, ARRAY[t.created_by], t.created_at, 0, 0),
    ('completed', t.status = 'completed', t.people, t.completed_at, 0, 0),
    ('cycle_time', t.status = 'completed' AND t.completed_at > t.created_at, t.people, t.completed_at,
     floor(ln(greatest(t.millis, 1)::float8) / ln(1.1::float8))::integer, t.millis),
    ('cancelled', t.status = 'cancelled', t.people, t.status_changed_at, 0, 0)
  ) AS f (measure, holds, people, at, bin, millis)
  CROSS JOIN LATERAL unnest('00000000-0000-0000-0000-000000000000'::uuid || f.people) AS p (id)
  CROSS JOIN unnest('{0,15,180,1440,23040}'::integer[]) AS g (grain)
  WHERE f.holds AND f.at < state.counted_from
  GROUP BY 1, 2, 3, 4, 5, 6
  ON CONFLICT ON CONSTRAINT report_cells_pkey DO UPDATE
    SET amount = c.amount + excluded.amount, millis = c.millis + excluded.millis;
  IF looked < at_most THEN
    PERFORM taskbell.recount_reports();
  END IF;
  UPDATE public.report_state SET seed_after = CASE WHEN looked = at_most THEN last END;
  RETURN at_most;
END
$$;
COMMENT ON FUNCTION taskbell.seed_reports IS
  'Counts the next tasks that are older than the summaries; after the last one, the open tasks.';
REVOKE EXECUTE ON FUNCTION taskbell.seed_reports FROM PUBLIC;
