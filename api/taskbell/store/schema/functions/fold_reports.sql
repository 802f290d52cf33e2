-- SECURITY DEFINER: the relay, which calls it, sees and writes nothing of reports itself. The row of report_state is
-- locked first, and each statement has a snapshot of its own: who comes second sees what the first one did.
-- All transactions before the xmin of a snapshot are over, so none of their events can still appear.
CREATE OR REPLACE FUNCTION taskbell.fold_reports(at_most integer) RETURNS integer
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  state public.report_state;
  settled xid8;
  until xid8;
  looked integer;
BEGIN
  SELECT * INTO state FROM public.report_state FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  IF state.seed_after IS NOT NULL THEN
    RETURN taskbell.seed_reports(at_most);
  END IF;
  settled := pg_snapshot_xmin(pg_current_snapshot());
  IF settled < state.folded_until THEN
    -- A restored copy: its transactions are counted from the start again. What was summed up is known by its time.
    state.folded_until := '0';
    state.counted_from := greatest(state.counted_from, state.folded_at);
    UPDATE public.report_state SET folded_until = state.folded_until, counted_from = state.counted_from;
    PERFORM taskbell.recount_reports();
  END IF;
  SELECT count(*), (array_agg(page.xid ORDER BY page.xid DESC))[1] INTO looked, until
  FROM (
    SELECT e.xid FROM public.events e WHERE e.xid >= state.folded_until AND e.xid < settled
    ORDER BY e.xid, e.id LIMIT at_most
  ) page;
  until := CASE WHEN looked = at_most THEN (until::text::numeric + 1)::text::xid8 ELSE settled END;
  IF looked > 0 THEN
    INSERT INTO public.report_cells AS c (workspace_id, measure, grain, person_id, start_at, bin, amount, millis)
    SELECT f.workspace_id, f.measure, g.grain, f.person_id, taskbell.report_start(g.grain, f.at), f.bin,
           sum(f.amount), sum(f.millis)
    FROM taskbell.report_facts(state.folded_until, until, NULL) f
    CROSS JOIN unnest('{0,15,180,1440,23040}'::integer[]) AS g (grain)
    WHERE f.measure IN ('pending', 'in_progress') OR f.at >= state.counted_from
    GROUP BY 1, 2, 3, 4, 5, 6
    HAVING sum(f.amount) <> 0
    ON CONFLICT ON CONSTRAINT report_cells_pkey DO UPDATE
      SET amount = c.amount + excluded.amount, millis = c.millis + excluded.millis;
  END IF;
  UPDATE public.report_state SET folded_until = until, folded_at = clock_timestamp();
  RETURN looked;
END
$$;
COMMENT ON FUNCTION taskbell.fold_reports IS
  'Sums up the next events, about so many, in report_cells. Returns how many it read (or of the tasks that are older '
  'than the summaries); fewer than asked for: no more are settled. NULL: another session is at it.';
REVOKE EXECUTE ON FUNCTION taskbell.fold_reports FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.fold_reports TO taskbell_relay;
